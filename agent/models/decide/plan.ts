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
import { type Step, stepKey } from './step.js';

/**
 * The rules, most urgent first: serving comes before installing, so a device serves what it served before it looks at
 * anything new (DESIGN R2). A model does one step at a time; the next is planned from what is true then.
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

export interface Plan {
  /** At most one step a model, and at most one that makes space; they do not depend on each other. */
  readonly steps: readonly Step[];
  /** When to plan again though nothing happened, monotonic; `undefined` when only an event can change the plan. */
  readonly wakeAt: Millis | undefined;
}

/** Decides what to do next from what is true now. Pure: no clock, no I/O. */
export function plan(device: DeviceSnapshot): Plan {
  const context = planContext(device);
  const plans = device.models.map((model) => planModel(model, context));
  const wakes = plans.flatMap(({ wakeAt }) => (wakeAt === undefined ? [] : [wakeAt]));
  return {
    steps: [...plans.flatMap(({ step }) => (step === undefined ? [] : [step])), ...context.space.steps],
    wakeAt: wakes.length === 0 ? undefined : Math.min(...wakes),
  };
}

export function planContext(device: DeviceSnapshot): PlanContext {
  return { device, complete: completeDigests(device), space: planSpace(device) };
}

/** The same for one model alone. */
export function planModel(model: ModelSnapshot, context: PlanContext): { readonly step?: Step; readonly wakeAt?: Millis } {
  const { device } = context;
  const { now } = device;
  const wakes: Millis[] = [];
  for (const rule of RULES) {
    const step = rule(model, context);
    if (step === undefined) continue;
    const held = model.held.find(({ key }) => key === stepKey(step));
    if (held === undefined || held.until <= now) return { step };
    wakes.push(held.until); // It waits after a failure; less urgent rules get their turn.
  }
  const bake = bakeOf(model, device);
  const proved = model.servingSince === undefined ? undefined : model.servingSince + bake;
  for (const at of [proved, servesAt(model, context), settlesAt(model, device.bake), nextLook(model, device)])
    if (at !== undefined && now < at) wakes.push(at);
  return wakes.length === 0 ? {} : { wakeAt: Math.min(...wakes) };
}
