import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { OIP } from '#agent/serve/dialects/oip/oip.js';
import { GrpcTestClient } from '../../kit/grpc-client.js';
import { startModelServer } from '../../kit/model-server.js';
import { MLSERVER_RULES } from './mlserver-rules.js';
import { MLSERVER_GRPC_RULES } from './mlserver-grpc-rules.js';
import { readOthers, replayOthers } from './others-replay.js';
import { recordFolder } from './record.js';
import { judge } from './verdict.js';

const folder = recordFolder();

test.skipIf(folder === undefined)('what MLServer answered (skipped where the record is not here)', { timeout: 60_000 }, async () => {
  const record = path.join(folder ?? '', 'others');
  const files = new Map<string, Uint8Array>();
  for (const file of await readdir(path.join(record, 'models'))) {
    const bytes = await readFile(path.join(record, 'models', file));
    const name = path.basename(file, '.onnx');
    // Their model of this name is a Python program.
    if (name !== 'fail') files.set(`${name}/1/model.onnx`, bytes);
    if (name === 'scale') for (const version of [1, 2]) files.set(`multi/${version}/model.onnx`, bytes);
  }
  files.set('multi/config.pbtxt', Buffer.from('version_policy { all { } }'));
  const load = [...new Set([...files.keys()].map((file) => file.split('/')[0] ?? ''))];
  const server = await startModelServer({
    dialects: [OIP],
    models: {},
    folder: { files: Object.fromEntries(files), load },
    config: { grpc: { host: '127.0.0.1', port: 0 }, closeGrace: 200 },
  });
  onTestFinished(() => server.close());
  const grpc = new GrpcTestClient(server.grpc.replace('grpc://', ''));
  onTestFinished(() => grpc.close());
  const exchanges = await readOthers(path.join(record, 'mlserver.jsonl'));
  const played = await replayOthers(exchanges, {
    portOf: () => Number(new URL(server.base).port),
    grpc,
    errorForm: () => null,
    headers: ['ce-specversion', 'ce-source', 'ce-type'],
  });
  const verdict = judge(played, [...MLSERVER_RULES, ...MLSERVER_GRPC_RULES]);
  expect(verdict.unexplained).toEqual([]);
  expect(verdict.idle).toEqual([]);
  expect(verdict.equal + verdict.explained).toBe(exchanges.length);
  expect(verdict.equal).toBeGreaterThanOrEqual(25);
});
