import { systemClock } from '#shared/kernel/clock.js';
import { type Millis, SAME_WISH } from '#shared/kernel/time.js';

/** What asks a process to end. */
export interface EndSignals {
  /** Resolves with the signal that asked; asked again, the process ends at once. */
  readonly first: Promise<string>;
  release(): void;
}

export function listenForSignals(): EndSignals {
  let tell: (signal: string) => void = () => undefined;
  let askedAt: Millis | undefined;
  const first = new Promise<string>((resolve) => {
    tell = resolve;
  });
  const onSignal = (signal: NodeJS.Signals): void => {
    const now = systemClock.monotonic();
    if (askedAt !== undefined && now - askedAt > SAME_WISH) endByForce();
    askedAt ??= now;
    tell(signal);
  };
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, onSignal);
  return {
    first,
    release: () => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.off(name, onSignal);
    },
  };
}

/** `process.exit` waits for threads, and a thread inside the inference runtime may never come back. */
export function endByForce(): void {
  process.kill(process.pid, 'SIGKILL');
}
