import { SkerryError } from '#shared/kernel/errors.js';
import type { Actor, RolloutDevice, RolloutRecord } from './record.js';
import type { Move, RolloutRunner } from './runner.js';

/** A rollout that is to end where it stands, and what ends it once that is stored. */
export interface Ending {
  readonly runner: RolloutRunner;
  readonly move: Move;
}

/** What devices taken over from other rollouts go back to, and the end of those. */
export interface Takeover {
  readonly previous: ReadonlyMap<string, RolloutDevice['previous']>;
  readonly endings: readonly Ending[];
}
export const NOTHING_TAKEN: Takeover = { previous: new Map(), endings: [] };

export interface Taker {
  readonly record: RolloutRecord;
  readonly devices: readonly RolloutDevice[];
  /** Who asked that others end for it; nobody is ended without. */
  readonly superseder: Actor | undefined;
}

/**
 * The rule for two rollouts of one model: only one is under way on a device, be it in a wave or what others are compared with. A newer
 * one that was asked to supersede takes over what to go back to; those of the devices it does not reach keep what they have. `others`: all
 * that are under way. Throws `ROLLOUT_OVERLAP`.
 */
export async function takeOver(
  { record, devices, superseder }: Taker,
  others: readonly RolloutRecord[],
  open: (id: string) => Promise<RolloutRunner>,
): Promise<Takeover> {
  const { id } = record;
  const { model } = record.document;
  const wanted = new Set(devices.map((row) => row.device));
  const previous = new Map<string, RolloutDevice['previous']>();
  const endings: Ending[] = [];
  for (const other of others) {
    if (other.document.model !== model || other.id === id) continue;
    const runner = await open(other.id);
    const shared = runner.rows.filter((row) => row.released === null && wanted.has(row.device));
    if (shared.length === 0) continue;
    if (superseder === undefined) {
      throw new SkerryError('ROLLOUT_OVERLAP', `rollout ${other.id} of ${model} is ${other.state} on ${shared.length} of these devices`, {
        details: { rollout: other.id, state: other.state, devices: shared.length },
      });
    }
    for (const row of shared) if (row.toldAt !== null) previous.set(row.device, row.previous);
    endings.push(await endingOf(runner, superseder, `superseded by ${id}`));
  }
  return { previous, endings };
}

/** Works out how a rollout ends where it stands; nothing has moved yet. */
export async function endingOf(runner: RolloutRunner, actor: Actor, reason: string): Promise<Ending> {
  return { runner, move: await runner.prepare('supersede', actor, reason) };
}
