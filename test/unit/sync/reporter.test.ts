import { describe, expect, it } from 'vitest';
import type { LinkPort, LinkStatus } from '#agent/sync/contract.js';
import { Reporter } from '#agent/sync/reporter.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { decodeMessage } from '#shared/protocol/codec.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { type Reported, reportedSchema } from '#shared/protocol/messages.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const device = deviceIdSchema.parse('lab-1');

/** A link that keeps what is published, and goes on and off by hand. */
class HandLink implements LinkPort {
  status: LinkStatus = { kind: 'connecting' };
  readonly published: Reported[] = [];
  #listener: (status: LinkStatus) => void = () => undefined;

  set(status: LinkStatus): void {
    this.status = status;
    this.#listener(status);
  }

  onStatus(listener: (status: LinkStatus) => void): () => void {
    this.#listener = listener;
    return () => undefined;
  }

  publish(_topic: string, payload: Uint8Array): Promise<void> {
    this.published.push(decodeMessage('reported', payload, device));
    return Promise.resolve();
  }

  subscribe(): { ready: Promise<void>; close: () => void } {
    return { ready: Promise.resolve(), close: () => undefined };
  }
}

async function setUp(): Promise<{ clock: VirtualClock; link: HandLink; reporter: Reporter; world: { counter: number } }> {
  const clock = new VirtualClock();
  const link = new HandLink();
  const world = { counter: 0 };
  const snapshot = (): Promise<Reported> =>
    Promise.resolve(
      reportedSchema.parse({
        device,
        at: new Date(clock.now()).toISOString(),
        boot: 1,
        agentVersion: '0',
        labels: {},
        capabilities: { os: 'linux', arch: 'x64', cpus: 1, memoryBytes: 1, providers: ['cpu'], runtime: { name: 'r', version: '1' } },
        desired: { counter: world.counter },
        trust: { root: 1, timestamp: 1, snapshot: 1 },
        clock: { trusted: true },
        models: [],
        outbox: { records: 0, bytes: 0, dropped: 0, coarsened: 0 },
        disk: { usedBytes: 0, budgetBytes: 1 },
      }),
    );
  const reporter = new Reporter({ fleet: 'test', device, link, snapshot, clock, logger: silentLogger, heartbeat: 600_000 });
  await reporter.start();
  return { clock, link, reporter, world };
}

const ONLINE: LinkStatus = { kind: 'online', since: 0, broker: 'b' };

describe('Reporter', () => {
  it('reports on connecting, and nothing while offline', async () => {
    const { clock, link, reporter } = await setUp();
    reporter.changed();
    await clock.advance(10_000);
    expect(link.published.length).toBe(0);
    link.set(ONLINE);
    await clock.advance(1);
    expect(link.published.length).toBe(1);
  });

  it('gathers changes: at most two reports a second, the last one true', async () => {
    const { clock, link, reporter, world } = await setUp();
    link.set(ONLINE);
    await clock.advance(1);
    for (let i = 1; i <= 100; i += 1) {
      world.counter = i;
      reporter.changed();
      await clock.advance(20);
    }
    await clock.advance(1_000);
    expect(link.published.length).toBeLessThanOrEqual(6);
    expect(link.published.length).toBeGreaterThan(3);
    expect(link.published.at(-1)?.desired.counter).toBe(100);
  });

  it('says nothing when nothing changed, unless asked or after a long time', async () => {
    const { clock, link, reporter } = await setUp();
    link.set(ONLINE);
    await clock.advance(1);
    reporter.changed();
    await clock.advance(5_000);
    expect(link.published.length).toBe(1);
    reporter.now();
    await clock.advance(1);
    expect(link.published.length).toBe(2);
    await clock.advance(600_001);
    expect(link.published.length).toBe(3);
  });

  it('leaves no timer behind when closed', async () => {
    const { clock, link, reporter } = await setUp();
    link.set(ONLINE);
    await clock.advance(1);
    await reporter.close();
    expect(clock.pending).toBe(0);
    reporter.changed();
    expect(clock.pending).toBe(0);
  });
});
