import { type Output, paint, printLine } from '#shared/terminal/output.js';
import type { IncapableDevice } from '../fleet/decide/incapable.js';

/** Devices named; a fleet may have thousands of a kind. */
const NAMED = 10;

/** Devices that cannot run a version, with the reason: `what` says what follows for them, such as `left out`. */
export function printIncapable(out: Output, what: string, incapable: readonly IncapableDevice[]): void {
  for (const { device, why } of incapable.slice(0, NAMED)) printLine(out, paint(out, 'yellow', `${what}: ${device} (${why})`));
  if (incapable.length > NAMED)
    printLine(out, paint(out, 'yellow', `${what}: ${incapable.length - NAMED} more devices; --json names all of them`));
}
