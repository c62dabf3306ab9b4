import { open, rm } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { GrpcTestClient } from '../../kit/grpc-client.js';
import { tempFolder } from '../../kit/temp-folder.js';
import { type GrpcExchange, grpcExchangeSchema, replayGrpc } from './grpc-replay.js';
import { readRecord, recordFolder } from './record.js';
import { TRITON_GRPC_RULES } from './triton-grpc-rules.js';
import { serveTwin } from './triton-server.js';

const folder = recordFolder();

/** POSIX segments that clients make first are files here. */
async function makeSegments({ needs }: GrpcExchange): Promise<readonly string[]> {
  const made: string[] = [];
  for (const [key, { byte_size: size, start_base64: start }] of Object.entries(needs?.shm ?? {})) {
    const file = await open(`/dev/shm${key}`, 'w');
    await file.truncate(size);
    await file.write(Buffer.from(start, 'base64'), 0, null, 0);
    await file.close();
    made.push(`/dev/shm${key}`);
  }
  return made;
}

test.skipIf(folder === undefined)(
  'what Triton answered over gRPC (skipped where the record is not here)',
  { timeout: 300_000 },
  async () => {
    const record = path.join(folder ?? '', 'triton');
    const { server, lacking } = await serveTwin(path.join(record, 'models'), await tempFolder());
    const client = new GrpcTestClient(`127.0.0.1:${server.address.grpc?.port}`);
    const segments: string[] = [];
    const unexplained: string[] = [];
    const used = new Set<unknown>();
    let equal = 0;
    try {
      for (const exchange of await readRecord(path.join(record, 'exchanges-grpc.jsonl'), grpcExchangeSchema)) {
        segments.push(...(await makeSegments(exchange)));
        const { differences, message } = await replayGrpc(client, exchange);
        if (differences.length === 0) equal++;
        const left = differences.filter((difference) => {
          const covering = TRITON_GRPC_RULES.filter((rule) => rule.covers(exchange, difference, lacking));
          for (const rule of covering) used.add(rule);
          return covering.length === 0;
        });
        const shown = left.slice(0, 3).map(({ at, theirs, ours }) => `${at}: ${theirs} | ${ours}`);
        if (left.length > 0) unexplained.push(`${exchange.id} (${exchange.why}): ${shown.join('; ')} ${message.slice(0, 160)}`);
      }
    } finally {
      client.close();
      await server.close();
      await Promise.all(segments.map((file) => rm(file, { force: true })));
    }
    expect(unexplained).toEqual([]);
    expect(TRITON_GRPC_RULES.filter((rule) => !used.has(rule)).map(({ what }) => what)).toEqual([]);
    // Of 293. Fewer mean that something which answered as Triton does has changed.
    expect(equal).toBeGreaterThanOrEqual(181);
  },
);
