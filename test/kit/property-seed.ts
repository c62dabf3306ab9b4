import * as fc from 'fast-check';

/** The seed of every property test: the same worlds at every run, so that a gate passes or fails for what changed. */
const SEED = 777;

// `npm run test:hunt` gives others (test/hunt.mjs).
fc.configureGlobal({ seed: Number(process.env['SKERRY_TEST_SEED'] ?? SEED) });
