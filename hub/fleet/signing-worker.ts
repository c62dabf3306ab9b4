import { beginWorker } from '#shared/kernel/worker-entry.js';
import { signDesired } from '#shared/trust/desired-verify.js';
import { signingKeyFromSeed } from '#shared/trust/keys.js';
import type { SignedReply, SigningWorkerOptions, SignRequest } from './signing-messages.js';

// A thread that signs desired states, and does nothing else.
beginWorker((port, { seed }: SigningWorkerOptions) => {
  const key = signingKeyFromSeed(seed);
  port.on('message', ({ id, statements }: SignRequest) => {
    const reply: SignedReply = { id, envelopes: statements.map((statement) => signDesired(statement, key)) };
    port.postMessage(reply);
  });
});
