import { releaseMemoryOnceSettled } from '#shared/kernel/release-memory.js';
import { beginWorker } from '#shared/kernel/worker-entry.js';
import { hostInstance } from './instance-host.js';
import { buffersOf } from './transfer.js';

/** Entry of an instance in a worker thread; it lives until it is told to close. */
beginWorker((port) => {
  hostInstance({
    onMessage: (listener) => void port.on('message', listener),
    post: (message) => port.postMessage(message, message.kind === 'ran' ? buffersOf(message.outputs) : []),
    close: () => port.close(),
  });
  releaseMemoryOnceSettled();
});
