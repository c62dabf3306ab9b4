import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { brokerUrls } from '#agent/sync/broker-urls.js';
import { CurrentIdentity } from '#agent/sync/current-identity.js';
import { type Identity, identitySchema, writeIdentity } from '#agent/sync/identity.js';
import type { DesiredState } from '#shared/trust/desired.js';
import { memoryState } from '../../kit/memory-store.js';
import { recordingLogger } from '../../kit/recorder.js';
import { tempFolder } from '../../kit/temp-folder.js';

const identity = (changes: Partial<Identity> = {}, password = 'p'.repeat(24)): Identity =>
  identitySchema.parse({
    schema: 'skerry.identity/1',
    fleet: 'main',
    device: 'cam-7',
    labels: { site: 'lab' },
    hub: 'http://old:7480',
    mqtt: { url: 'mqtt://old:1883', wsUrl: 'ws://old:7480/mqtt', username: 'cam-7', password },
    enrolledAt: '2026-01-01T00:00:00Z',
    ...changes,
  });
const announcing = (brokers: readonly string[]): DesiredState => ({ hub: { api: 'http://new:7480', brokers } }) as unknown as DesiredState;

async function open(options: { readonly hub?: string; readonly desired?: DesiredState } = {}) {
  const data = await tempFolder();
  await writeIdentity(data, identity());
  const state = memoryState();
  const log = recordingLogger();
  const make = (): Promise<CurrentIdentity> =>
    CurrentIdentity.open({
      data,
      identity: identity(),
      hub: options.hub,
      ca: undefined,
      state,
      desired: () => options.desired,
      logger: log.logger,
    });
  return { data, make, who: await make(), lines: log.lines };
}

describe('21 M: addresses of the broker', () => {
  const enrolled = { url: 'mqtt://old:1883', wsUrl: 'ws://old:7480/mqtt' };
  const rows: readonly [string, Parameters<typeof brokerUrls>[0], readonly string[]][] = [
    [
      'those of the enrolment',
      { setting: undefined, letIn: undefined, enrolled, announced: [] },
      ['mqtt://old:1883', 'ws://old:7480/mqtt'],
    ],
    [
      'those the hub announced come after them, kinds that nobody here knows are left out',
      { setting: undefined, letIn: undefined, enrolled, announced: ['mqtt://new:1883', 'quic://new:1', 'mqtt://', 'mqtt://old:1883'] },
      ['mqtt://old:1883', 'ws://old:7480/mqtt', 'mqtt://new:1883'],
    ],
    [
      'the one that let the device in comes first',
      { setting: undefined, letIn: 'mqtt://new:1883', enrolled, announced: ['mqtt://new:1883'] },
      ['mqtt://new:1883', 'mqtt://old:1883', 'ws://old:7480/mqtt'],
    ],
    [
      'but not once the hub announces it no more',
      { setting: undefined, letIn: 'mqtt://gone:1883', enrolled, announced: [] },
      ['mqtt://old:1883', 'ws://old:7480/mqtt'],
    ],
    [
      'a setting that names the hub comes before all, over WebSocket',
      { setting: 'https://hub.example:7480/', letIn: 'ws://old:7480/mqtt', enrolled, announced: [] },
      ['wss://hub.example:7480/mqtt', 'ws://old:7480/mqtt', 'mqtt://old:1883'],
    ],
    [
      'as does one that names a broker',
      { setting: 'mqtts://broker.example:8883', letIn: undefined, enrolled: { url: 'mqtt://old:1883' }, announced: [] },
      ['mqtts://broker.example:8883', 'mqtt://old:1883'],
    ],
  ];
  it.each(rows)('%s', (_name, known, urls) => {
    expect(brokerUrls(known)).toEqual(urls);
  });

  it('the one that let the device in is where the next start begins', async () => {
    const { who, make } = await open({ desired: announcing(['mqtt://new:1883']) });
    expect((await who.broker()).urls[0]).toBe('mqtt://old:1883');
    await who.letIn('mqtt://new:1883');
    expect((await (await make()).broker()).urls[0]).toBe('mqtt://new:1883');
    expect(who.hub).toBe('http://new:7480');
  });
});

describe('21 L: an agent that runs while it is enrolled again', () => {
  it('takes the new credentials and labels with its next connection', async () => {
    const { data, who } = await open();
    await writeIdentity(data, identity({ labels: { site: 'field' } }, 'q'.repeat(24)));
    expect(await who.broker()).toMatchObject({ username: 'cam-7', password: 'q'.repeat(24) });
    expect(who.identity.labels).toEqual({ site: 'field' });
  });

  it('stays who it is when the folder becomes another device, and says once that it is to be restarted', async () => {
    const { data, who, lines } = await open();
    await writeIdentity(data, identity({ device: 'cam-8' as Identity['device'] }, 'q'.repeat(24)));
    for (let n = 0; n < 2; n += 1) expect(await who.broker()).toMatchObject({ username: 'cam-7', password: 'p'.repeat(24) });
    expect(who.identity.device).toBe('cam-7');
    expect(lines.filter((line) => line.message.includes('restart the agent'))).toHaveLength(1);
  });

  it('goes on with what it knows when the file cannot be read', async () => {
    const { data, who } = await open();
    await writeFile(join(data, 'identity.json'), '{');
    expect(await who.broker()).toMatchObject({ username: 'cam-7' });
  });
});
