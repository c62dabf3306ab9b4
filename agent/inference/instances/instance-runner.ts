import { writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { keepNativePartsBelow } from '#shared/kernel/native-parts.js';
import { releaseMemoryOnceSettled } from '#shared/kernel/release-memory.js';
import { encodeFrame, FrameReader, narrow } from './frames.js';
import { hostInstance } from './instance-host.js';
import { type FromInstance, isToInstance, type ToInstance } from './instance-protocol.js';

// Entry of a process that runs one instance for an agent (process-carrier.ts). Its last argument is the data folder of the agent, or empty.

/** When memory runs out the kernel is to end this process, which is started again, and not the agent with all its models. */
const OOM_SCORE = '500';

const home = process.argv.at(-1) ?? '';
if (home !== '') keepNativePartsBelow(home);
// The agent ends this process by closing the socket. These are for the agent, which may still have answers to give.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);
void writeFile('/proc/self/oom_score_adj', OOM_SCORE).catch(() => undefined);

const socket = new Socket({ fd: 3, readable: true, writable: true });
let take: (message: ToInstance) => void = () => undefined;
hostInstance({
  onMessage(listener) {
    take = listener;
  },
  post(message: FromInstance) {
    socket.cork();
    for (const part of encodeFrame(message)) socket.write(part);
    socket.uncork();
  },
  // Nothing is left to do: what native code would tidy up at an orderly end, the system does, and cannot crash in it.
  close: () => socket.end(() => process.kill(process.pid, 'SIGKILL')),
});
const reader = new FrameReader((message) => take(narrow(message, isToInstance)));
socket.on('data', (chunk: Uint8Array) => reader.push(chunk));
// The agent is gone.
socket.on('close', () => process.exit());
socket.on('error', () => process.exit());
releaseMemoryOnceSettled();
