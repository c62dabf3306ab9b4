import type { Clock } from '#shared/kernel/clock.js';
import { type Output, printJson } from '#shared/terminal/output.js';
import type { RolloutDetail } from '../rollouts/views.js';
import type { HubCommand } from './deps.js';
import { printOutcome, printRollout } from './rollout-view.js';

export async function readRollout({ hub }: HubCommand, id: string): Promise<RolloutDetail> {
  const { rolloutDetailSchema } = await import('../rollouts/views.js');
  return hub.get(rolloutDetailSchema, pathOf(id));
}

/** Does it put two versions side by side? */
export function isTrial({ strategy }: RolloutDetail): boolean {
  return strategy === 'shadow' || strategy === 'ab';
}

export async function showOutcome({ out, hub }: HubCommand, id: string): Promise<void> {
  const { outcomeSchema } = await import('#hub/rollouts/decide/trial-outcome.js');
  const outcome = await hub.get(outcomeSchema, `${pathOf(id)}/outcome`);
  if (out.json) printJson(out, outcome);
  else printOutcome(out, outcome);
}

/** `notes: false` leaves out what was said when it was shown before. */
export function showRollout(out: Output, rollout: RolloutDetail, clock: Clock, { notes } = { notes: true }): void {
  if (out.json) printJson(out, rollout);
  else printRollout(out, rollout, clock.now(), notes);
}

/** Where the hub's API has a rollout. */
export function pathOf(id: string): string {
  return `/api/v1/rollouts/${encodeURIComponent(id)}`;
}
