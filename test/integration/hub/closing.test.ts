import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { hubStateSchema } from '#hub/hub-state.js';
import { Processes } from '../../kit/processes.js';
import { until } from '../../kit/until.js';

const processes = new Processes();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skerry-closing-'));
});
afterAll(async () => {
  await processes.close();
  await rm(folder, { recursive: true, force: true });
});

describe('a hub that is told to end', () => {
  it('does not wait for devices that came over WebSocket', async () => {
    const args = ['hub', '--data', join(folder, 'hub'), '--http-port', '0', '--mqtt-port', '0'];
    const hub = processes.start('skerry', args, { logFile: join(folder, 'hub.log') });
    const state = await until('the hub', async () =>
      hubStateSchema.parse(JSON.parse(await readFile(join(folder, 'hub', 'hub.json'), 'utf8'))),
    );
    const device = new WebSocket(`${state.httpUrl.replace('http', 'ws')}/mqtt`, ['mqtt']);
    await new Promise((resolve, reject) => device.on('open', resolve).on('error', reject));
    const cut = new Promise((resolve) => device.on('close', resolve).on('error', resolve));
    expect(await hub.stop()).toBe(0);
    await cut;
  });
});
