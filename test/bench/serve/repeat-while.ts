/** Takes steps, one after the other, until the work has ended; gives what the work gave. */
export async function repeatWhile<T>(work: Promise<T>, step: () => Promise<void>): Promise<T> {
  const state = { isOver: false };
  const watched = work.finally(() => {
    state.isOver = true;
  });
  while (!state.isOver) await step();
  return watched;
}
