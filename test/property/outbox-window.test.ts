import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutboxWindow } from '#agent/sync/outbox-window.js';

type Step =
  | { readonly kind: 'append'; readonly count: number }
  | { readonly kind: 'fill' }
  /** The hub stores the n-th undelivered message and acknowledges it, or the ack is lost. */
  | { readonly kind: 'deliver'; readonly pick: number; readonly ackLost: boolean }
  | { readonly kind: 'reconnect' }
  | { readonly kind: 'wait'; readonly millis: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant('fill' as const) }),
  fc.record({ kind: fc.constant('deliver' as const), pick: fc.nat(20), ackLost: fc.boolean() }),
  fc.record({ kind: fc.constant('reconnect' as const) }),
  fc.record({ kind: fc.constant('wait' as const), millis: fc.integer({ min: 0, max: 3_000 }) }),
);

/** A device's outbox, the window over it, and a hub that counts each position once: stepped by hand. */
class World {
  readonly window = new OutboxWindow({ size: 4, perSecond: 6, ackTimeout: { base: 1_000, max: 4_000 } });
  readonly stored = new Set<number>();
  outbox: number[] = [];
  network: number[] = [];
  appended = 0;
  now = 0;
  most = 0;

  run(item: Step): void {
    switch (item.kind) {
      case 'append':
        for (let i = 0; i < item.count; i += 1) this.outbox.push((this.appended += 1));
        break;
      case 'fill':
        this.fill();
        break;
      case 'deliver':
        this.deliver(item.pick, item.ackLost);
        break;
      case 'reconnect':
        this.network = [];
        this.window.restart('reconnect');
        break;
      case 'wait':
        this.now += item.millis;
        if ((this.window.silentAt() ?? Number.POSITIVE_INFINITY) <= this.now) this.window.restart('silence');
        break;
    }
  }

  fill(): void {
    const room = this.window.room(this.now);
    const batch = this.outbox.filter((seq) => seq > this.window.cursor).slice(0, room);
    for (const seq of batch) {
      this.window.sent(seq, this.now);
      this.network.push(seq);
    }
    this.most = Math.max(this.most, this.window.onTheWay);
  }

  deliver(pick: number, ackLost: boolean): void {
    const [seq] = this.network.splice(pick % Math.max(1, this.network.length), 1);
    if (seq === undefined) return;
    this.stored.add(seq);
    if (ackLost) return;
    this.outbox = this.outbox.filter((item) => item !== seq);
    this.window.acknowledged([seq], this.now);
  }
}

describe('OutboxWindow', () => {
  it('forgets nothing the hub has not stored, and gets everything there once the network holds', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = new World();
        for (const item of steps) {
          world.run(item);
          for (let seq = 1; seq <= world.appended; seq += 1) expect(world.outbox.includes(seq) || world.stored.has(seq)).toBe(true);
        }
        expect(world.most).toBeLessThanOrEqual(4);
        // The network holds from here on.
        for (let round = 0; round < 400 && world.outbox.length > 0; round += 1) {
          world.fill();
          while (world.network.length > 0) world.deliver(0, false);
          world.run({ kind: 'wait', millis: 4_100 });
        }
        expect(world.outbox).toEqual([]);
        expect(world.stored.size).toBe(world.appended);
      }),
    );
  });

  it('waits longer after every silence, and as before after an answer', () => {
    const window = new OutboxWindow({ size: 4, perSecond: 100, ackTimeout: { base: 1_000, max: 4_000 } });
    const waits: number[] = [];
    for (let i = 0; i < 4; i += 1) {
      window.sent(1, 0);
      waits.push(window.silentAt()!);
      window.restart('silence');
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 4_000]);
    window.sent(1, 0);
    window.acknowledged([1], 10);
    window.sent(2, 20);
    expect(window.silentAt()).toBe(1_020);
  });

  it('sends a record again that got lost, although those after it keep being acknowledged', () => {
    const window = new OutboxWindow({ size: 8, perSecond: 100, ackTimeout: { base: 1_000, max: 4_000 } });
    window.sent(1, 0);
    for (let seq = 2; seq <= 7; seq += 1) {
      window.sent(seq, seq * 200);
      window.acknowledged([seq], seq * 200 + 10);
    }
    expect(window.onTheWay).toBe(1);
    expect(window.silentAt()).toBe(1_000);
  });
});
