/** Asset of the executable with the code of the worker thread `name`. */
export function workerAsset(name: string): string {
  return `worker/${name}.js`;
}
