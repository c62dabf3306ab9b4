import { parentPort, workerData } from 'node:worker_threads';
import { SkerryError } from '#shared/kernel/errors.js';
import { signDesired } from '#shared/trust/desired-verify.js';
import { signingKeyFromSeed } from '#shared/trust/keys.js';
import type { SignedReply, SignRequest, SigningWorkerData } from './signing-messages.js';

// A thread that signs desired states, and does nothing else.
if (parentPort === null) throw new SkerryError('INTERNAL', 'the signing worker runs in a thread');
const port = parentPort;
sign(workerData);

function sign({ seed }: SigningWorkerData): void {
  const key = signingKeyFromSeed(seed);
  port.on('message', ({ id, statements }: SignRequest) => {
    const reply: SignedReply = { id, envelopes: statements.map((statement) => signDesired(statement, key)) };
    port.postMessage(reply);
  });
}
