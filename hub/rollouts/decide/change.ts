import type { EpochMillis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { WaveFigures } from '../figures.js';
import type { Actor, Decision, RolloutDevice, RolloutRecord } from '../record.js';
import { apply } from './apply.js';
import { resetBy } from './devices.js';
import type { GateResult } from './gates/result.js';
import type { RolloutEvent } from './machine.js';

/** What a decision is made of. */
export interface Deciding {
  readonly event: RolloutEvent;
  readonly actor: Actor;
  readonly reason: string;
  readonly figures?: WaveFigures | undefined;
  readonly results?: readonly GateResult[];
  /** Rows that change with it, beside those that the event itself changes. */
  readonly changed?: readonly RolloutDevice[];
  /** Devices it takes out of the rollout. */
  readonly out?: readonly DeviceId[];
}

/** A rollout after a decision, with that decision and the rows that it changes. */
export interface Decided {
  readonly record: RolloutRecord;
  readonly decision: Decision;
  readonly changed: readonly RolloutDevice[];
  /** All rows, the changed ones included, as they were before the event itself changed some. */
  readonly rows: readonly RolloutDevice[];
}

/** What follows from an event. Throws `ROLLOUT_TRANSITION` in a state that has no row for it. */
export function changeBy(before: RolloutRecord, known: ReadonlyMap<DeviceId, RolloutDevice>, deciding: Deciding, at: EpochMillis): Decided {
  const { event, actor, reason, figures, results = [], changed = [], out = [] } = deciding;
  const record = apply(before, event, at);
  const decision: Decision = {
    number: record.decisions,
    at,
    event,
    from: before.state,
    to: record.state,
    wave: before.wave,
    actor: { ...actor },
    reason,
    devices: [...out],
    figures: figures ?? null,
    results: [...results],
  };
  const rows = [...new Map([...known, ...changed.map((row) => [row.device, row] as const)]).values()];
  const all = new Map([...changed, ...resetBy(event, before, rows, at)].map((row) => [row.device, row]));
  return { record, decision, changed: [...all.values()], rows };
}
