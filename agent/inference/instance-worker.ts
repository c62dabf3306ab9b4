import { parentPort } from 'node:worker_threads';
import { releaseMemoryOnceSettled } from '#shared/kernel/release-memory.js';
import { hostInstance } from './instance-host.js';

/** Entry of an instance worker; it lives until it is told to close. */
if (parentPort !== null) {
  hostInstance(parentPort);
  releaseMemoryOnceSettled();
}
