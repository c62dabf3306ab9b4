import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { OIP } from '#agent/serve/dialects/oip/oip.js';
import { startModelServer } from '../../kit/model-server.js';
import { MLSERVER_RULES } from './mlserver-rules.js';
import { otherExchangeSchema, replayOthers } from './others-replay.js';
import { readRecord, recordFolder } from './record.js';
import { judge } from './verdict.js';

const folder = recordFolder();

/** A line; those over gRPC have other members. */
const line = z.union([otherExchangeSchema, z.object({ protocol: z.literal('grpc') })]);

test.skipIf(folder === undefined)(
  'what MLServer answered over HTTP (skipped where the record is not here)',
  { timeout: 60_000 },
  async () => {
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
    const server = await startModelServer({ dialects: [OIP], models: {}, folder: { files: Object.fromEntries(files), load } });
    onTestFinished(() => server.close());
    const lines = await readRecord(path.join(record, 'mlserver.jsonl'), line);
    const exchanges = lines.flatMap((one) => ('protocol' in one ? [] : [one]));
    const played = await replayOthers(exchanges, {
      portOf: ({ listener }) => (listener === undefined ? Number(new URL(server.base).port) : undefined),
      errorForm: () => null,
    });
    const verdict = judge(played, MLSERVER_RULES);
    expect(verdict.unexplained).toEqual([]);
    expect(verdict.idle).toEqual([]);
    expect(verdict.equal).toBeGreaterThanOrEqual(16);
  },
);
