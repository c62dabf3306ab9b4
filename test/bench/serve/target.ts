import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { folderSource } from '#agent/standalone/source.js';
import { openStandalone } from '#agent/standalone-app.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { type TargetAddress, targetSchema } from './target-protocol.js';

// The process that is measured: a server of a folder of models, and a bare handler of node:http beside it that sends back what it got.

const settings = targetSchema.parse(JSON.parse(process.argv[2] ?? ''));
const host = '127.0.0.1';
const socket = path.join(settings.folder, 'socket');
const server = await openStandalone({
  source: folderSource(path.join(settings.folder, 'models')),
  control: 'explicit',
  load: 'all',
  serve: { tcp: { host, port: 0 }, unix: { path: socket }, grpc: { host, port: 0 } },
  inference: { isolation: 'thread', instances: settings.instances },
  logger: silentLogger,
});
await server.start();
const bare = createServer((request, response) => {
  const parts: Buffer[] = [];
  let length = 0;
  request.on('data', (part: Buffer) => {
    parts.push(part);
    length += part.length;
  });
  request.once('end', () => {
    response.writeHead(200, { 'content-length': length });
    const [only = Buffer.alloc(0)] = parts;
    response.end(parts.length > 1 ? Buffer.concat(parts, length) : only);
  });
});
await new Promise<void>((resolve) => bare.listen(0, host, resolve));
process.once('disconnect', () => {
  bare.closeAllConnections();
  void Promise.all([server.close(), new Promise((resolve) => bare.close(resolve))]);
});
const { tcp, grpc } = server.address;
if (tcp === undefined || grpc === undefined) throw new Error('the server does not listen');
process.send?.({ http: tcp.port, grpc: grpc.port, bare: portOf(bare.address()), socket } satisfies TargetAddress);

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
