import { expect, test } from 'vitest';
import { operationsPage } from './signals-tables.js';

test('docs/OPERATIONS.md has the table of signals (npm run docs:signals)', () => {
  const { made, written } = operationsPage();
  expect(written).toBe(made);
});
