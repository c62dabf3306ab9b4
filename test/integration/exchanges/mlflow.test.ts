import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { MLFLOW } from '#agent/serve/dialects/mlflow/mlflow.js';
import { startModelServer } from '../../kit/model-server.js';
import { model, node, ONNX_TYPES, valueInfo } from '../../kit/onnx-proto.js';
import { isMembers } from './compare.js';
import type { Json } from './lenient-json.js';
import { MLFLOW_RULES } from './mlflow-rules.js';
import { readOthers, replayOthers } from './others-replay.js';
import { recordFolder } from './record.js';
import { judge } from './verdict.js';

const folder = recordFolder();

/** Listeners whose model is a tensor model. */
const MODELS = ['classify', 'scale', 'add_sub'];

/** What their function `table` gives back; of the two more columns that may be absent an ONNX model has none. */
const COLUMNS = { i: ONNX_TYPES.INT64, d: ONNX_TYPES.DOUBLE, s: ONNX_TYPES.STRING, b: ONNX_TYPES.BOOL };

function tableTwin(): Uint8Array {
  const entries = Object.entries(COLUMNS);
  return model({
    nodes: entries.map(([name]) => node('Identity', [name], [`${name} out`])),
    inputs: entries.map(([name, type]) => valueInfo(name, type, ['n'])),
    outputs: entries.map(([name, type]) => valueInfo(`${name} out`, type, ['n'])),
  });
}

/** The rows of a table as columns. */
function columnsOf({ listener }: { readonly listener?: string | undefined }, theirs: Json): Json {
  if (listener !== 'table' || !isMembers(theirs) || !Array.isArray(theirs['predictions'])) return theirs;
  const rows = theirs['predictions'].filter((row: Json) => isMembers(row));
  return { predictions: Object.fromEntries(Object.keys(COLUMNS).map((name) => [`${name} out`, rows.map((row) => row[name] ?? null)])) };
}

test.skipIf(folder === undefined)('what MLflow answered (skipped where the record is not here)', { timeout: 60_000 }, async () => {
  const record = path.join(folder ?? '', 'others');
  const files = await Promise.all(
    MODELS.map(async (name) => [`${name}/1/model.onnx`, await readFile(path.join(record, 'models', `${name}.onnx`))] as const),
  );
  const names = [...MODELS, 'table'];
  const server = await startModelServer({
    dialects: [MLFLOW],
    models: {},
    folder: { files: { ...Object.fromEntries(files), 'table/1/model.onnx': tableTwin() }, load: names },
  });
  onTestFinished(() => server.close());
  const ports = new Map<string | undefined, number>();
  for (const name of names) ports.set(name, Number(new URL(await server.alone(name)).port));
  const exchanges = await readOthers(path.join(record, 'mlflow.jsonl'));
  const played = await replayOthers(exchanges, {
    portOf: ({ listener }) => ports.get(listener),
    formOf: columnsOf,
    errorForm: (error) => (error !== undefined && isMembers(error) ? (error['error_code'] ?? null) : null),
  });
  const verdict = judge(played, MLFLOW_RULES);
  expect(verdict.unexplained).toEqual([]);
  expect(verdict.idle).toEqual([]);
  expect(verdict.equal + verdict.explained).toBe(exchanges.length);
  // Fewer mean that something which answered as MLflow does has changed.
  expect(verdict.equal).toBeGreaterThanOrEqual(100);
});
