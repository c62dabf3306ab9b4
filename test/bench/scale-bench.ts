import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Figure, plain } from './figure.js';

const run = promisify(execFile);

/** Rollouts over ten thousand devices, in a process of their own so that memory is theirs alone. */
export async function benchScale(folder: string): Promise<readonly Figure[]> {
  const file = path.join(folder, 'scale.json');
  await run(process.execPath, [fileURLToPath(new URL('./scale/main.js', import.meta.url)), '--json', file]);
  return JSON.parse(await readFile(file, 'utf8')) as Figure[];
}

/** How many devices one core of a hub carries when each reports once a minute and a rollout goes over all of them. */
export function devicesPerCore(figures: readonly Figure[]): Figure {
  const value = (name: string): number => {
    const found = figures.find((figure) => figure.name === name);
    if (found === undefined) throw new Error(`there is no figure "${name}"`);
    return found.value;
  };
  const secondsPerReport = value('hub CPU at that rate') / value('telemetry records one hub commits');
  const secondsOfRollout = value('CPU of a rollout per device and second') / 1e6;
  return plain(
    'devices a core of the hub carries, a report a minute each and a rollout over all',
    1 / (secondsPerReport / 60 + secondsOfRollout),
    'devices',
  );
}
