import type { SpawnOptions } from 'node:child_process';
import { silenceOnnxRuntime } from './onnx-environment.js';

/** Every kind of process that the project starts of itself. A single-file build embeds one program for each name. */
export type RunnerName = 'instance-runner';

/**
 * What a runner is started with: its messages go over file descriptor 3, a socket; what it says on standard error
 * is passed on, since it tells why a process ended. One malloc arena is enough for its one busy
 * thread. It is no member of our process group, so that Ctrl-C reaches it through us alone.
 */
export function runnerOptions(): SpawnOptions {
  silenceOnnxRuntime();
  return {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    detached: true,
    windowsHide: true,
    env: { ...process.env, MALLOC_ARENA_MAX: '1' },
  };
}
