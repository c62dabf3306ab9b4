import { readFile } from 'node:fs/promises';
import type { NetConnectOpts } from 'node:net';
import { RawConnection } from './raw-connection.js';

// What load.c does, for machines without a C compiler. Arguments and output are the same; HTTP/2 it does not speak.

const [address = '', connections = '1', requests = '1', seconds = '1', , file = ''] = process.argv.slice(2);
const where: NetConnectOpts = address.startsWith('unix:')
  ? { path: address.slice(5) }
  : { host: '127.0.0.1', port: Number(address.slice(4)) };
const request = await readFile(file);
const times: number[] = [];
let failures = 0;
let sent = 0;

const all = await Promise.all(Array.from({ length: Number(connections) }, () => RawConnection.open(where, request)));
const began = performance.now();
const deadline = began + Number(seconds) * 1000;
await Promise.all(all.map(askOn));
const { user, system } = process.cpuUsage();
const answer = Buffer.alloc(32 + 4 * times.length);
const figures = [(performance.now() - began) * 1e6, (user + system) * 1000, times.length, failures];
for (const [at, figure] of figures.entries()) answer.writeBigUInt64LE(BigInt(Math.round(figure)), at * 8);
for (const [at, time] of times.entries()) answer.writeUInt32LE(Math.min(Math.round(time * 1e6), 0xff_ff_ff_ff), 32 + 4 * at);
process.stdout.write(answer);

async function askOn(connection: RawConnection): Promise<void> {
  while (sent < Number(requests) && performance.now() < deadline) {
    sent += 1;
    const asked = performance.now();
    try {
      await connection.ask();
    } catch (cause) {
      if (failures === 0) console.error(`a request failed: ${String(cause)}`);
      failures += 1;
    }
    times.push(performance.now() - asked);
  }
  connection.close();
}
