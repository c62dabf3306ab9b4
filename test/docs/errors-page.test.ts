import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '#shared/kernel/error-registry.js';
import { errorsPage } from './errors-page.js';

test('docs/ERRORS.md says of every code what the code says, and of no other', () => {
  expect(readFileSync('docs/ERRORS.md', 'utf8')).toBe(errorsPage());
});

test('every code is raised somewhere', () => {
  const sources = ['shared', 'agent', 'hub', 'packaging']
    .flatMap((room) => readdirSync(room, { recursive: true, encoding: 'utf8' }).map((name) => path.join(room, name)))
    .filter(
      (file) =>
        file.endsWith('.ts') && !file.startsWith(path.join('packaging', 'out')) && !file.startsWith(path.join('shared', 'kernel', 'codes')),
    )
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
  expect(Object.keys(ERROR_CODES).filter((code) => !sources.includes(`'${code}'`))).toEqual([]);
});
