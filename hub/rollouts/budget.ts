import type { RolloutDocument } from './document.js';
import { type Gate, isStatistical } from './gate-document.js';
import type { Levels } from './gates/result.js';

/**
 * The false-alarm budget of a rollout divided over its waves and their gates (Bonferroni: the chance that any of them ever
 * raises a false alarm is at most the sum). Looking often costs nothing, the tests being valid at all times at once.
 */
export function levelsOf(document: Pick<RolloutDocument, 'falseAlarms' | 'missed'>, waves: readonly (readonly Gate[])[]): Levels {
  const tests = waves.reduce((sum, gates) => sum + gates.filter(isStatistical).length, 0);
  return { alarm: document.falseAlarms / Math.max(1, tests), miss: document.missed };
}
