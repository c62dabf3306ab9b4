/** Asks `probe` until it answers something other than undefined/false; throws with `what` after `deadlineMs`. For tests and the story only. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  options: { deadlineMs?: number; everyMs?: number; signal?: AbortSignal } = {},
): Promise<T> {
  const { deadlineMs = 60_000, everyMs = 25, signal } = options;
  const end = performance.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    signal?.throwIfAborted();
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== false) return answer;
    } catch (cause) {
      last = cause;
    }
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms for: ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
