import { defineConfig } from 'vitest/config';
import { SlowestFirst } from './test/kit/slowest-first.js';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/kit/run-folder.ts',
    setupFiles: 'test/kit/property-seed.ts',
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: SlowestFirst },
    // Of a busy machine; what waits for something has a deadline of its own (test/kit/until.ts).
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
