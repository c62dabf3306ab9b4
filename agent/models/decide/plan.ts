import { heldUntil, type StepPlan } from '#agent/install/decide/install-step.js';
import type { Millis } from '#shared/kernel/time.js';
import { bakeOf, completeDigests } from './facts.js';
import { candidateRule, settleRule, settlesAt, trafficRule } from './plan-candidate.js';
import { breakerRule, guardRule, nextLook, recheckRule } from './plan-guard.js';
import { installRule, restoreRule } from './plan-install.js';
import { planSpace } from './plan-space.js';
import {
  fallBackRule,
  finishSwitchRule,
  proveRule,
  quarantineRule,
  routeRule,
  serveRule,
  servesAt,
  tidyRule,
  unloadStrayRule,
  withdrawRule,
} from './plan-serve.js';
import type { PlanContext, Rule } from './rule.js';
import type { DeviceSnapshot, ModelSnapshot } from './snapshot.js';
import type { Step } from './step.js';

/**
 * The rules, most urgent first: serving comes before installing, so a device serves what it served before it looks at
 * anything new (R2). A model does one step at a time; the next is planned from what is true then.
 */
const RULES: readonly Rule[] = [
  breakerRule,
  finishSwitchRule,
  withdrawRule,
  quarantineRule,
  guardRule,
  fallBackRule,
  serveRule,
  routeRule,
  trafficRule,
  unloadStrayRule,
  recheckRule,
  proveRule,
  settleRule,
  tidyRule,
  installRule,
  restoreRule,
  candidateRule,
];

export function planContext(device: DeviceSnapshot): PlanContext {
  return { device, complete: completeDigests(device), space: planSpace(device) };
}

/** Decides the next step of a model from what is true now. Pure: no clock, no I/O. */
export function planModel(model: ModelSnapshot, context: PlanContext): StepPlan<Step> {
  const { device } = context;
  const { now } = device;
  const wakes: Millis[] = [];
  for (const rule of RULES) {
    const step = rule(model, context);
    if (step === undefined) continue;
    const until = heldUntil(model.held, step);
    if (until === undefined || until <= now) return { step };
    wakes.push(until); // It waits after a failure; less urgent rules get their turn.
  }
  const bake = bakeOf(model, device);
  const proved = model.servingSince === undefined ? undefined : model.servingSince + bake;
  for (const at of [proved, servesAt(model, context), settlesAt(model, device.bake), nextLook(model, device)])
    if (at !== undefined && now < at) wakes.push(at);
  return wakes.length === 0 ? {} : { wakeAt: Math.min(...wakes) };
}
