import type { RolloutDocument } from '../document.js';
import type { Gate } from '../gate.js';
import { gateName, isCarried, isStatistical } from '../gate-document.js';
import type { Levels } from './gates/result.js';

/**
 * The false-alarm budget of a rollout divided over its gates in equal parts, and a gate's part over the tests it makes
 * (Bonferroni: the chance that any of them ever raises a false alarm is at most the sum). A gate that carries its evidence
 * through the waves makes one test of the whole rollout, others one for each wave. Looking often costs nothing, the tests
 * being valid at all times at once.
 */
export function levelsOf(
  gate: Gate,
  document: Pick<RolloutDocument, 'falseAlarms' | 'missed'>,
  waves: readonly (readonly Gate[])[],
): Levels {
  const all = waves.flat().filter(isStatistical);
  const names = new Set(all.map(gateName));
  const same = all.filter((other) => gateName(other) === gateName(gate));
  // A wave that states a gate differently tests something else.
  const tests = isCarried(gate) ? new Set(same.map((other) => JSON.stringify(other))).size : same.length;
  return { alarm: document.falseAlarms / Math.max(1, names.size) / Math.max(1, tests), miss: document.missed };
}
