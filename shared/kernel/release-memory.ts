/**
 * Gives the system back the memory this process holds and no longer uses; for moments after which less is needed, such as the
 * end of a start. Node offers no way to, so from source nothing happens; a single-file build puts a module in this one's
 * place that does it through its own addon. Takes some milliseconds.
 */
export function releaseMemory(): void {
  // From source: nothing to call.
}
