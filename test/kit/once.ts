import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { until } from './until.js';

const PATIENCE = 900_000;

/**
 * Makes something in a folder once in a run of the suite, whichever of its processes asks first; the others wait for it. What `make` returns
 * must be JSON. The folder lies in the run's own (`run-folder.ts`) and goes with it, so nobody removes or changes anything in there.
 */
export async function onceInRun<T>(name: string, make: (folder: string) => Promise<T>): Promise<T> {
  const key = `${name}-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`.replace(/[^\w-]+/g, '_').slice(-60);
  const folder = path.join(os.tmpdir(), 'once', key);
  const result = path.join(folder, 'result.json');
  await mkdir(path.dirname(folder), { recursive: true });
  const first = await mkdir(folder).then(
    () => true,
    () => false,
  );
  if (first) {
    const outcome = await make(folder).then(
      (value) => ({ value }),
      (cause: unknown) => ({ failed: cause instanceof Error ? cause.message : String(cause) }),
    );
    await writeFile(`${result}.part`, JSON.stringify(outcome));
    await rename(`${result}.part`, result);
  }
  const read = async (): Promise<{ value: T } | { failed: string }> =>
    JSON.parse(await readFile(result, 'utf8')) as { value: T } | { failed: string };
  const outcome = await until(`${name} to be made by another test file`, read, { deadlineMs: PATIENCE, everyMs: 200 });
  if ('failed' in outcome) throw new Error(`${name}: ${outcome.failed}`);
  return outcome.value;
}
