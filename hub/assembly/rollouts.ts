import type { DesiredIssuer } from '#hub/fleet/desired-issuer.js';
import type { RolloutClaims } from '#hub/fleet/rollout-claims.js';
import { AllAlerts, LogAlerts } from '#hub/rollouts/adapters/alert-sinks.js';
import { FleetAdapter } from '#hub/rollouts/adapters/fleet-adapter.js';
import { ObservedStore, type ObserveWritten } from '#hub/rollouts/adapters/observed-store.js';
import { RegistryAdapter } from '#hub/rollouts/adapters/registry-adapter.js';
import { TelemetryEvidence } from '#hub/rollouts/adapters/telemetry-evidence.js';
import { TelemetryTrialOutcome } from '#hub/rollouts/adapters/telemetry-trial-outcome.js';
import { rolloutsUnderWay } from '#hub/rollouts/claims.js';
import { Cohorts } from '#hub/rollouts/cohorts.js';
import { RolloutController } from '#hub/rollouts/controller.js';
import { whyIncapable } from '#hub/rollouts/decide/capability.js';
import type { HubContext } from './context.js';
import { widthsOf } from './devices.js';
import type { Kept } from './kept.js';
import type { Alerts } from './people.js';
import type { Trust, Versions } from './versions.js';

/** Waves of wishes, watched by gates. */
export interface Rollouts {
  readonly controller: RolloutController;
  readonly store: ObservedStore;
  readonly cohorts: Cohorts;
}

interface RolloutNeeds {
  readonly kept: Kept;
  readonly trust: Trust;
  readonly versions: Versions;
  readonly alerts: Alerts;
  readonly issuer: DesiredIssuer;
  readonly observe: ObserveWritten;
}

export function openRollouts(
  { config, bus, clock, logger }: HubContext,
  { kept: { db }, trust: { hubClock }, versions, alerts: { webhook }, issuer, observe }: RolloutNeeds,
): Rollouts {
  const fleet = new FleetAdapter({ db, issuer, clock, logger });
  const store = new ObservedStore(observe, db, (trx, wishes) => fleet.write(trx, wishes));
  const cohorts = new Cohorts(db, store, clock);
  const bucket = widthsOf(config).device;
  const controller = new RolloutController({
    store,
    fleet,
    evidence: new TelemetryEvidence({ db, clock, bucket, refresh: config.rolloutLook * 3 }),
    outcomes: new TelemetryTrialOutcome(db, bucket),
    registry: new RegistryAdapter(versions.store),
    cohorts,
    alerts: new AllAlerts([new LogAlerts(logger), ...(webhook === undefined ? [] : [webhook])]),
    every: config.rolloutLook,
    hubClock,
    onMoved: ({ id, state, since }) => bus.publish({ kind: 'rollout.changed', at: new Date(since).toISOString(), rollout: id, state }),
    clock,
    logger,
  });
  return { controller, store, cohorts };
}

/** What rollouts decide, which deployments keep away from. */
export function claimsOf(versions: Versions, controller: () => RolloutController): RolloutClaims {
  const registry = new RegistryAdapter(versions.store);
  return {
    underWay: rolloutsUnderWay,
    supersede: (ended, by, reason, write) => controller().supersede(ended, by, reason, write),
    capability: async (model, version) => {
      const { runnable } = await registry.version(model, version);
      return (device) => whyIncapable(runnable, device);
    },
  };
}
