import path from 'node:path';
import { expect, test } from 'vitest';
import { tempFolder } from '../../kit/temp-folder.js';
import { replay } from './http-replay.js';
import { httpExchangeSchema, readRecord, recordFolder } from './record.js';
import { TRITON_RULES } from './triton-rules.js';
import { serveTwin, withOurBackend } from './triton-server.js';
import { judge } from './verdict.js';

const folder = recordFolder();

test.skipIf(folder === undefined)(
  'what Triton answered over HTTP (skipped where the record is not here)',
  { timeout: 300_000 },
  async () => {
    const record = path.join(folder ?? '', 'triton');
    const { server, lacking } = await serveTwin(path.join(record, 'models'), await tempFolder());
    try {
      const exchanges = await readRecord(path.join(record, 'exchanges-http.jsonl'), httpExchangeSchema);
      const whereIs = () => ({ path: server.address.unix ?? '' });
      const verdict = judge(await replay(exchanges.map(withOurBackend), { whereIs, lacking }), TRITON_RULES);
      expect(verdict.unexplained).toEqual([]);
      expect(verdict.idle).toEqual([]);
      // Of 903. Fewer mean that something which answered as Triton does has changed.
      expect(verdict.equal).toBeGreaterThanOrEqual(365);
    } finally {
      await server.close();
    }
  },
);
