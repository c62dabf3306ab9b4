import { expect, test } from 'vitest';
import { protocolPage } from './differences-table.js';

test('docs/PROTOCOL.md has the tables of differences from other servers (npm run docs:differences)', () => {
  const { made, written } = protocolPage();
  expect(written).toBe(made);
});
