import { ROWS } from '#shared/signals/rows.js';
import type { DesiredGuard } from '#shared/protocol/desired-rollout.js';
import { ruleOf } from './gate-rule.js';
import type { PlanWave } from './plan.js';

/**
 * What a device itself holds the version to while the wave bakes, from the wave's gates. It judges by its own few
 * predictions, so it steps in only at `ruleOut`, which the gates want ruled out; what no gate says is the device's own.
 */
export function guardOf(wave: Pick<PlanWave, 'bake' | 'gates'>): DesiredGuard {
  const guard: { -readonly [K in keyof DesiredGuard]: DesiredGuard[K] } = wave.bake > 0 ? { bake: wave.bake } : {};
  for (const gate of wave.gates) {
    const rule = ruleOf(gate);
    if (rule.test === 'rate' && rule.signal === ROWS.errors) guard.errors = { ratio: rule.ruleOut, negligible: rule.negligible };
    if (rule.test === 'quantile' && rule.signal === ROWS.latency) {
      guard.latency = { quantile: rule.quantile, ratio: rule.ruleOut, negligibleMs: 1 };
    }
    if (rule.test === 'limit' && rule.signal === ROWS.golden && gate.gate !== 'limit') guard.golden = true;
  }
  return guard;
}
