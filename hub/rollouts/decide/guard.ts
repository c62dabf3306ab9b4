import type { DesiredGuard } from '#shared/protocol/desired-rollout.js';
import type { PlanWave } from './plan.js';

/**
 * What a device itself holds the version to while the wave bakes, from the wave's gates. It judges by its own few
 * predictions, so it steps in only at `ruleOut`, which the gates want ruled out; what no gate says is the device's own.
 */
export function guardOf(wave: Pick<PlanWave, 'bake' | 'gates'>): DesiredGuard {
  const guard: { -readonly [K in keyof DesiredGuard]: DesiredGuard[K] } = wave.bake > 0 ? { bake: wave.bake } : {};
  for (const gate of wave.gates) {
    if (gate.gate === 'errors') guard.errors = { ratio: gate.ruleOut, negligible: gate.negligible };
    if (gate.gate === 'latency') guard.latency = { quantile: gate.quantile, ratio: gate.ruleOut, negligibleMs: 1 };
    if (gate.gate === 'disagreement' && gate.source === 'golden') guard.golden = true;
  }
  return guard;
}
