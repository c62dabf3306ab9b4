import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { folderSource } from '#agent/standalone/source.js';
import { openStandalone } from '#agent/standalone-app.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { writeFiles } from '../../kit/model-folder.js';
import { affineModel } from '../../kit/onnx-models.js';
import { sileroBytes } from '../../kit/silero.js';

// The process that is measured: a server of two models, and a bare handler of node:http beside it. It says where they listen.

const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-bench-'));
await writeFiles(path.join(folder, 'models'), { 'small/1/model.onnx': affineModel(), 'vad/1/model.onnx': await sileroBytes() });
const host = '127.0.0.1';
const socket = path.join(folder, 'socket');
const server = await openStandalone({
  source: folderSource(path.join(folder, 'models')),
  serve: { tcp: { host, port: 0 }, unix: { path: socket }, grpc: { host, port: 0 } },
  inference: { isolation: 'thread' },
  logger: silentLogger,
});
await server.start();
const bare = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.once('end', () => response.setHeader('content-length', 2).end('{}'));
});
await new Promise<void>((resolve) => bare.listen(0, host, resolve));
const { port: barePort } = bare.address() as AddressInfo;
process.once('disconnect', () => {
  void Promise.all([server.close(), new Promise((resolve) => bare.close(resolve))]).then(() =>
    rm(folder, { recursive: true, force: true }),
  );
  bare.closeAllConnections();
});
process.send?.({ http: server.address.tcp?.port, grpc: server.address.grpc?.port, bare: barePort, socket });
