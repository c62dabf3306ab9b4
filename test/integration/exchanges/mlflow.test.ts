import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { MLFLOW } from '#agent/serve/dialects/mlflow/mlflow.js';
import { startModelServer } from '../../kit/model-server.js';
import { isMembers } from './compare.js';
import { MLFLOW_RULES } from './mlflow-rules.js';
import { readOthers, replayOthers } from './others-replay.js';
import { recordFolder } from './record.js';
import { judge } from './verdict.js';

const folder = recordFolder();

/** Listeners whose model is a tensor model; the others are functions in Python. */
const MODELS = ['classify', 'scale', 'add_sub'];

test.skipIf(folder === undefined)('what MLflow answered (skipped where the record is not here)', { timeout: 60_000 }, async () => {
  const record = path.join(folder ?? '', 'others');
  const files = await Promise.all(
    MODELS.map(async (name) => [`${name}/1/model.onnx`, await readFile(path.join(record, 'models', `${name}.onnx`))] as const),
  );
  const server = await startModelServer({ dialects: [MLFLOW], models: {}, folder: { files: Object.fromEntries(files), load: MODELS } });
  onTestFinished(() => server.close());
  const ports = new Map<string | undefined, number>();
  for (const name of MODELS) ports.set(name, Number(new URL(await server.alone(name)).port));
  const exchanges = await readOthers(path.join(record, 'mlflow.jsonl'));
  const played = await replayOthers(exchanges, {
    portOf: ({ listener }) => ports.get(listener),
    errorForm: (error) => (error !== undefined && isMembers(error) ? (error['error_code'] ?? null) : null),
  });
  const verdict = judge(played, MLFLOW_RULES);
  expect(verdict.unexplained).toEqual([]);
  expect(verdict.idle).toEqual([]);
  expect(verdict.equal + verdict.explained).toBe(exchanges.length);
  // Fewer mean that something which answered as MLflow does has changed.
  expect(verdict.equal).toBeGreaterThanOrEqual(82);
});
