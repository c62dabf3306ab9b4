import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { asSkerryError } from '#shared/kernel/errors.js';
import { releaseMemoryOnceSettled } from '#shared/kernel/release-memory.js';
import { beginWorker } from '#shared/kernel/worker-entry.js';
import type { CallName, CallResult, StoreMessage, StoreRequest, StoreThreadOptions, ThreadError } from './calls.js';
import { BlobFolder } from './worker/blob-folder.js';
import { countBoot } from './worker/boot.js';
import { openDatabase } from './worker/database.js';
import { createHandlers, type Handlers } from './worker/handlers.js';

// Entry of the store thread: SQL, hashing and files of the agent happen here and nowhere else (R5).

beginWorker((port, options: StoreThreadOptions) => {
  const opening = open(port, options);
  port.on('message', (request: StoreRequest) => void opening.then((handlers) => handlers && answer(port, handlers, request)));
  releaseMemoryOnceSettled();
});

/** Opens the database and says so; `undefined` when it was refused, and the thread ends. */
async function open(port: MessagePort, options: StoreThreadOptions): Promise<Handlers | undefined> {
  const say = (message: StoreMessage): void => port.postMessage(message);
  try {
    const { db, recovery } = openDatabase(options.folder, options.now);
    const boots = await countBoot(db, options.folder);
    const { boot } = boots;
    const blobs = new BlobFolder(join(options.folder, 'blobs'), options.limits);
    await blobs.prepare();
    const handlers = createHandlers(db, blobs, boots, options.limits);
    say(
      recovery === undefined
        ? { kind: 'opened', boot }
        : { kind: 'opened', boot, recovery: { error: threadError(recovery.error), movedTo: recovery.movedTo } },
    );
    return handlers;
  } catch (cause) {
    say({ kind: 'refused', error: threadError(cause) });
    port.close();
    return undefined;
  }
}

async function answer(port: MessagePort, handlers: Handlers, request: StoreRequest): Promise<void> {
  const say = (message: StoreMessage): void => port.postMessage(message);
  try {
    say({ kind: 'result', id: request.id, result: await dispatch(handlers, request) });
  } catch (cause) {
    say({ kind: 'failed', id: request.id, error: threadError(cause) });
  }
  if (request.call === 'close') port.close();
}

function dispatch<K extends CallName>(handlers: Handlers, request: StoreRequest<K>): CallResult<K> | Promise<CallResult<K>> {
  return handlers[request.call](...request.args);
}

function threadError(cause: unknown): ThreadError {
  const error = asSkerryError(cause, 'IO_FAILED');
  return error.details === undefined
    ? { code: error.code, message: error.message }
    : { code: error.code, message: error.message, details: error.details };
}
