import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { SlotFolder } from '#agent/update/slot-folder.js';
import { tempFolder } from '../../kit/temp-folder.js';

describe('the folder of a slot', () => {
  it('keeps its executable, and nothing of one that was being put there when the power went', async () => {
    const folder = new SlotFolder(await tempFolder());
    await folder.prepare('a');
    await writeFile(folder.executable('a'), 'release');
    await writeFile(`${folder.executable('a')}.0123456789ab.tmp`, 'another name of 160 MB');
    await folder.prepare('a');
    expect(await readdir(path.dirname(folder.executable('a')))).toEqual(['skerry-agent']);
  });
});
