import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Fleet } from '../../kit/fleet.js';
import { Processes } from '../../kit/processes.js';

let folder: string;
let processes: Processes;
let fleet: Fleet;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'skerry-hostile-'));
  processes = new Processes();
  fleet = new Fleet({ folder, processes });
});
// One that a test before ended is started again.
beforeEach(async () => {
  if (!(await alive())) await fleet.startHub();
});
afterAll(async () => {
  await processes.close();
  rmSync(folder, { recursive: true, force: true });
});

type Ending = 'reset' | 'wait';

/** Sends bytes to a port from nobody known, and breaks the connection at once, or waits until the other side ends it (at most 5 s). */
async function throwAt(port: number, bytes: string | Uint8Array, ending: Ending): Promise<void> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const opened = connect(port, '127.0.0.1', () => resolve(opened)).once('error', reject);
  });
  socket.on('error', () => undefined);
  socket.resume();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  if (ending === 'reset') socket.resetAndDestroy();
  const timer = setTimeout(() => socket.destroy(), 5_000);
  await closed;
  clearTimeout(timer);
}

async function alive(): Promise<boolean> {
  try {
    return (await fetch(`${fleet.hub.url}/healthz`)).ok;
  } catch {
    return false;
  }
}

function upgrade(target: string): string {
  const headers = [
    'Host: hub',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  ];
  return [`GET ${target} HTTP/1.1`, ...headers, `Authorization: Bearer skerry_${'a'.repeat(43)}`, '', ''].join('\r\n');
}

describe('the hub outlives whoever', () => {
  it.each<[string, Ending]>([
    ['//', 'wait'],
    ['//a:b', 'wait'],
    ['http://', 'wait'],
    ['/nowhere', 'reset'],
    ['/api/v1/live', 'reset'],
    ['/mqtt', 'reset'],
  ])('asks to upgrade %s and then does a %s', async (target, ending) => {
    const port = Number(new URL(fleet.hub.url).port);
    await Promise.all(Array.from({ length: 50 }, () => throwAt(port, upgrade(target), ending)));
    expect(await alive()).toBe(true);
  });

  it.each(['/nowhere', '/api/v1/live'])('asks to upgrade %s and never ends its half of the connection', async (target) => {
    const socket = connect({ port: Number(new URL(fleet.hub.url).port), host: '127.0.0.1', allowHalfOpen: true });
    const broken = new Promise<boolean>((resolve) => socket.once('error', () => resolve(true)));
    socket.resume();
    socket.write(upgrade(target));
    await new Promise<void>((resolve) => socket.once('end', () => resolve()));
    // Whoever has let go of it answers with a reset.
    const writing = setInterval(() => socket.write('x'), 20);
    const given = setTimeout(() => socket.destroy(new Error('held')), 20_000);
    const began = performance.now();
    expect(await broken).toBe(true);
    expect(performance.now() - began).toBeLessThan(15_000);
    clearInterval(writing);
    clearTimeout(given);
    socket.destroy();
  });

  it.each<[string, Uint8Array]>([
    ['noise', Uint8Array.from({ length: 4_096 }, (_, i) => (i * 31) % 256)],
    ['a publication before it said who it is', Uint8Array.of(0x30, 0x05, 0, 1, 0x61, 0x62, 0x63)],
    ['a version of MQTT that does not exist', Uint8Array.of(0x10, 0x0d, 0, 4, 0x4d, 0x51, 0x54, 0x54, 9, 2, 0, 60, 0, 1, 0x61)],
    ['a connection without a client id', Uint8Array.of(0x10, 0x0c, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 0)],
    ['a length that never ends', Uint8Array.of(0x10, 0xff, 0xff, 0xff, 0xff, 0x01)],
  ])('sends the broker %s', async (_name, bytes) => {
    for (const ending of ['reset', 'wait'] as const) await throwAt(fleet.mqttPort, bytes, ending);
    expect(await alive()).toBe(true);
  });
});
