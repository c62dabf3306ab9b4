import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { KSERVE_V1 } from '#agent/serve/dialects/kserve-v1/kserve-v1.js';
import { OIP } from '#agent/serve/dialects/oip/oip.js';
import { GrpcTestClient } from '../../kit/grpc-client.js';
import { startModelServer } from '../../kit/model-server.js';
import { isMembers } from './compare.js';
import { KSERVE_V1_RULES } from './kserve-v1-rules.js';
import { KSERVE_V2_RULES } from './kserve-v2-rules.js';
import { readOthers, replayOthers } from './others-replay.js';
import { recordFolder } from './record.js';
import { judge } from './verdict.js';

const folder = recordFolder();

test.skipIf(folder === undefined)(
  'what KServe answered in both versions and over gRPC (skipped where the record is not here)',
  { timeout: 60_000 },
  async () => {
    const record = path.join(folder ?? '', 'others');
    const files: Record<string, Uint8Array> = {};
    for (const file of await readdir(path.join(record, 'models'))) {
      const name = path.basename(file, '.onnx');
      // Their model of this name is a Python program.
      if (name !== 'fail') files[`${name}/1/model.onnx`] = await readFile(path.join(record, 'models', file));
    }
    const server = await startModelServer({
      dialects: [OIP, KSERVE_V1],
      models: {},
      folder: { files, load: Object.keys(files).map((file) => file.split('/')[0] ?? '') },
      config: { grpc: { host: '127.0.0.1', port: 0 }, closeGrace: 200 },
    });
    onTestFinished(() => server.close());
    const grpc = new GrpcTestClient(server.grpc.replace('grpc://', ''));
    onTestFinished(() => grpc.close());
    const exchanges = await readOthers(path.join(record, 'kserve.jsonl'));
    const played = await replayOthers(exchanges, {
      portOf: () => Number(new URL(server.base).port),
      grpc,
      errorForm: (error) => (error !== undefined && isMembers(error) && typeof error['error'] === 'string' ? 'error' : null),
      headers: ['ce-specversion', 'ce-source', 'ce-type'],
    });
    const verdict = judge(played, [...KSERVE_V1_RULES, ...KSERVE_V2_RULES]);
    expect(verdict.unexplained).toEqual([]);
    expect(verdict.idle).toEqual([]);
    expect(verdict.equal + verdict.explained).toBe(exchanges.length);
    // Fewer mean that something which answered as KServe does has changed.
    expect(verdict.equal).toBeGreaterThanOrEqual(63);
  },
);
