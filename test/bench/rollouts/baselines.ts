import { sliceCount, sliceOrder } from '#hub/rollouts/decide/slice.js';
import type { Outcome } from './run.js';
import { beginOf, type Truth, WINDOW } from './truth.js';
import { groupOf, World } from './world.js';

/** What a simple rule sees of a wave: the canary since the wave began. */
export interface Seen {
  readonly told: number;
  readonly installed: number;
  readonly failedToInstall: number;
  readonly predictions: number;
  readonly errors: number;
  /** Share of requests slower than 1.5 times the fleet's 95 % quantile before. */
  readonly slow: number;
}

/** A rule of the kind other tools have: true stops the rollout. */
export type Rule = (seen: Seen) => boolean;

/** (a) Plain fixed thresholds on the canary, set by somebody who knows that the old version fails for 1 % of predictions. */
export const fixedThresholds: Rule = (seen) => seen.predictions >= 100 && (seen.errors / seen.predictions > 0.015 || seen.slow > 0.05);

/**
 * (b) The group-error-percentage rule: a group fails when too many of its devices failed to install. Devices that said
 * nothing count as well, and what the model does afterwards is not looked at.
 */
export const groupErrorPercentage: Rule = (seen) => seen.failedToInstall / Math.max(1, seen.told) > 0.1;

const BAKE_WINDOWS = 6;
const SHARES = [1, 10, 50, 100];

/** One rollout under a simple rule: each wave bakes for an hour, then the next begins unless the rule said stop. */
export function runBaseline(rule: Rule, truth: Truth, seed: number): Outcome {
  const world = new World(truth, seed);
  const byId = new Map(world.devices.map((device) => [device.id, device]));
  const order = sliceOrder(`sim-${seed}`, byId.keys());
  const began = beginOf(seed);
  let at = began;
  for (const [wave, percent] of SHARES.entries()) {
    const told = order.slice(0, sliceCount(order.length, { percent }));
    for (const id of told) {
      const device = byId.get(id);
      if (device === undefined || device.told) continue;
      device.told = true;
      if (device.silent) continue;
      device.serving = 'new';
      device.since = at;
    }
    const installed = world.devices.filter((device) => device.serving === 'new').length;
    let [predictions, errors, slow] = [0, 0, 0];
    for (let i = 0; i < BAKE_WINDOWS; i++, at += WINDOW) {
      for (const device of world.devices) {
        const window = groupOf(device) === 'canary' ? world.window(device, at) : undefined;
        if (window === undefined) continue;
        predictions += window.tallies.errors.exposure;
        errors += window.tallies.errors.events;
        slow +=
          window.values?.['latency']?.above(1.5 * (device.baseline.values?.['latency']?.quantile(0.95) ?? Number.POSITIVE_INFINITY)) ?? 0;
      }
      const seen = {
        told: told.length,
        installed,
        failedToInstall: 0,
        predictions,
        errors,
        slow: predictions > 0 ? slow / predictions : 0,
      };
      if (rule(seen))
        return {
          state: 'rolled-back',
          stoppedIn: wave + 1,
          gate: 'rule',
          devices: installed,
          predictions: world.exposed,
          hours: (at - began) / 3_600_000,
        };
    }
  }
  const devices = world.devices.filter((device) => device.serving === 'new').length;
  return { state: 'completed', stoppedIn: 0, gate: '', devices, predictions: world.exposed, hours: (at - began) / 3_600_000 };
}
