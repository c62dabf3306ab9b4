import { releaseMemoryOnceSettled } from '#shared/kernel/release-memory.js';
import { beginWorker } from '#shared/kernel/worker-entry.js';
import { hostInstance } from './instance-host.js';

/** Entry of an instance worker; it lives until it is told to close. */
beginWorker((port) => {
  hostInstance(port);
  releaseMemoryOnceSettled();
});
