import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { PROGRAMS } from '#packaging/targets.js';
import { PROJECT_ROOT } from '../../kit/processes.js';

test('an agent from source is started with the flags of the packaged one', async () => {
  const text = await readFile(path.join(PROJECT_ROOT, 'dist/agent/main.js'), 'utf8');
  expect(text.split('\n', 1)).toEqual([`#!/usr/bin/env -S node ${PROGRAMS.agent.nodeFlags.join(' ')}`]);
});
