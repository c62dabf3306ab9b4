import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { TORCHSERVE } from '#agent/serve/dialects/torchserve/torchserve.js';
import { startModelServer } from '../../kit/model-server.js';
import { isMembers } from './compare.js';
import { readOthers, replayOthers } from './others-replay.js';
import { recordFolder } from './record.js';
import { TORCHSERVE_RULES } from './torchserve-rules.js';
import { judge } from './verdict.js';

const folder = recordFolder();

/** Models that were loaded, and others of the store, each with the file that stands for it. */
const LOADED = { add_sub: 'add_sub', classify: 'classify', echo: 'echo', strings: 'echo' };
const STORED = { double: 'scale', queue: 'scale' };

test.skipIf(folder === undefined)('what TorchServe answered (skipped where the record is not here)', { timeout: 60_000 }, async () => {
  const record = path.join(folder ?? '', 'others');
  const files = await Promise.all(
    Object.entries({ ...LOADED, ...STORED }).map(
      async ([name, file]) => [`${name}/1/model.onnx`, await readFile(path.join(record, 'models', `${file}.onnx`))] as const,
    ),
  );
  const server = await startModelServer({
    dialects: [TORCHSERVE],
    models: {},
    folder: { files: { ...Object.fromEntries(files), 'broken/1/model.onnx': 'no model' }, load: Object.keys(LOADED) },
  });
  onTestFinished(() => server.close());
  const exchanges = await readOthers(path.join(record, 'torchserve.jsonl'));
  const played = await replayOthers(exchanges, {
    portOf: ({ listener }) => (listener?.startsWith('plain/') === true ? Number(new URL(server.base).port) : undefined),
    errorForm: (error) =>
      error !== undefined && isMembers(error) && 'type' in error ? { code: error['code'] ?? null, type: error['type'] ?? null } : null,
    headers: ['cache-control', 'pragma', 'expires'],
  });
  const verdict = judge(played, TORCHSERVE_RULES);
  expect(verdict.unexplained).toEqual([]);
  expect(verdict.idle).toEqual([]);
  expect(verdict.equal + verdict.explained).toBe(exchanges.length);
  // Fewer mean that something which answered as TorchServe does has changed.
  expect(verdict.equal).toBeGreaterThanOrEqual(57);
});
