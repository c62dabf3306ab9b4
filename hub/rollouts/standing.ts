import type { EpochMillis } from '#shared/kernel/time.js';
import type { Capabilities } from '#shared/protocol/device.js';
import { whyIncapable } from './decide/capability.js';
import { isBeside } from './document.js';
import type { Plan } from './decide/plan.js';
import type { Change, CohortsPort, RegistryPort } from './ports.js';
import { isExcluded } from './decide/membership.js';
import type { RolloutDevice, RolloutRecord } from './record.js';

/**
 * Selectors of the devices that a rollout, once completed, speaks for in future too: those of waves that reached the end of their
 * slice. A rollout that was to reach a part only (`10%` and no more) leaves none: what the others run is not its to say. Pure.
 */
function standingSelectors(plan: Pick<Plan, 'waves'>, cohort: string): string[] {
  const full = plan.waves.filter((wave) => wave.action === 'serve' && wave.below >= 1).map((wave) => wave.selector);
  const selectors = full.includes('') ? [''] : [...new Set(full)];
  return selectors.map((selector) => [cohort, selector].filter((part) => part !== '').join(','));
}

/** What the rollout, moved to where the record says, leaves behind when it completes, and takes back when everything is taken back. */
export async function standingOf(
  record: RolloutRecord,
  rows: readonly RolloutDevice[],
  at: EpochMillis,
  { registry, cohorts }: { readonly registry: RegistryPort; readonly cohorts: CohortsPort },
): Promise<Pick<Change, 'standing'>> {
  const { document, plan, manifest, attempt, id, rollback } = record;
  if (isBeside(document)) return {};
  if (record.state === 'rolling-back' && rollback?.endsIn === 'rolled-back') return { standing: { withdraw: at } };
  if (record.state !== 'completed') return {};
  const cohort = typeof document.cohort === 'string' ? document.cohort : await cohorts.saved(document.cohort.saved);
  const { runnable } = await registry.version(document.model, document.version);
  const { model, version } = document;
  const canRun = (device: Capabilities): boolean => whyIncapable(runnable, device) === undefined;
  const excluded = rows.filter(isExcluded).map((row) => row.device);
  return {
    standing: {
      leave: { rollout: id, model, version, manifest, attempt, selectors: standingSelectors(plan, cohort), excluded, canRun, at },
    },
  };
}
