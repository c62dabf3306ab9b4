import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { PROJECT_ROOT } from '../../kit/processes.js';
import { recordFolder } from './record.js';

const folder = recordFolder();

// Each of those tests counts that no line of its file is left out.
test.skipIf(folder === undefined)(
  'every file of the record has a test that replays it (skipped where the record is not here)',
  async () => {
    const recorded = await readdir(path.join(folder ?? '', 'others'));
    const servers = recorded.filter((file) => file.endsWith('.jsonl')).map((file) => path.basename(file, '.jsonl'));
    expect(servers).not.toEqual([]);
    const without = servers.filter((name) => !existsSync(path.join(PROJECT_ROOT, `test/integration/exchanges/${name}.test.ts`)));
    expect(without).toEqual([]);
  },
);
