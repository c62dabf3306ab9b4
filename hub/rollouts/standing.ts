import type { Plan } from './plan.js';

/**
 * Selectors of the devices that a rollout, once completed, speaks for in future too: those of waves that reached the end of their
 * slice. A rollout that was to reach a part only (`10%` and no more) leaves none: what the others run is not its to say. Pure.
 */
export function standingSelectors(plan: Pick<Plan, 'waves'>, cohort: string): string[] {
  const full = plan.waves.filter((wave) => wave.action === 'serve' && wave.below >= 1).map((wave) => wave.selector);
  const selectors = full.includes('') ? [''] : [...new Set(full)];
  return selectors.map((selector) => [cohort, selector].filter((part) => part !== '').join(','));
}
