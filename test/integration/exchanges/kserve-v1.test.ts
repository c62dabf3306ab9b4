import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { KSERVE_V1 } from '#agent/serve/dialects/kserve-v1/kserve-v1.js';
import { startModelServer } from '../../kit/model-server.js';
import { isMembers } from './compare.js';
import { KSERVE_V1_RULES } from './kserve-v1-rules.js';
import { otherExchangeSchema, replayOthers } from './others-replay.js';
import { readRecord, recordFolder } from './record.js';
import { judge } from './verdict.js';

const folder = recordFolder();
const MODELS = ['add_sub', 'classify', 'echo', 'scale', 'id_int64', 'id_int8'];

test.skipIf(folder === undefined)(
  'what KServe answered in version 1 (skipped where the record is not here)',
  { timeout: 60_000 },
  async () => {
    const record = path.join(folder ?? '', 'others');
    const files = await Promise.all(
      MODELS.map(async (name) => [`${name}/1/model.onnx`, await readFile(path.join(record, 'models', `${name}.onnx`))] as const),
    );
    const server = await startModelServer({
      dialects: [KSERVE_V1],
      models: {},
      folder: { files: Object.fromEntries(files), load: MODELS },
    });
    onTestFinished(() => server.close());
    const all = await readRecord(path.join(record, 'kserve.jsonl'), otherExchangeSchema.or(otherExchangeSchema.partial()));
    const exchanges = all.flatMap((line) => {
      const read = otherExchangeSchema.safeParse(line);
      // What version 2 unloaded is another dialect's.
      return read.success && read.data.path.startsWith('/v1') && read.data.group !== 'repository' ? [read.data] : [];
    });
    const played = await replayOthers(exchanges, {
      portOf: () => Number(new URL(server.base).port),
      errorForm: (error) => (error !== undefined && isMembers(error) && typeof error['error'] === 'string' ? 'error' : null),
      headers: ['ce-specversion', 'ce-source', 'ce-type'],
    });
    const verdict = judge(played, KSERVE_V1_RULES);
    expect(verdict.unexplained).toEqual([]);
    expect(verdict.idle).toEqual([]);
    // Fewer mean that something which answered as KServe does has changed.
    expect(verdict.equal).toBeGreaterThanOrEqual(40);
  },
);
