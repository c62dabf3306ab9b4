/**
 * Call before more threads are started: says how the memory that their native code asks for is to be handed out. Node offers no way
 * to; from source nothing happens, and a single-file build puts a module in this one's place that does it through its own addon.
 */
export function prepareMemory(): void {
  // From source: nothing to call.
}

/**
 * Gives the system back what this thread's part of the process holds and no longer uses, twice: when a start is over, and when
 * what serves has warmed up. Every thread calls it once, when it begins. In a single-file build only, as above; each time the
 * thread stands still for 15 to 60 ms.
 */
export function releaseMemoryOnceSettled(): void {
  // From source: nothing to call.
}
