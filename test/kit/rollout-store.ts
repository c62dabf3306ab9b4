import type { RolloutState } from '#hub/rollouts/decide/machine.js';
import type { Change, RolloutPage, RolloutStore, Wish } from '#hub/rollouts/ports.js';
import type { Decision, RolloutDevice, RolloutRecord } from '#hub/rollouts/record.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { DeviceId } from '#shared/protocol/device.js';

interface Stored {
  record: RolloutRecord;
  readonly devices: Map<string, RolloutDevice>;
  readonly decisions: Decision[];
}

/** Rollouts in memory: the same promises as the database, without one. Wishes go to `onWishes`, what is left standing to `onStanding`, within the commit. */
export class MemoryRolloutStore implements RolloutStore {
  readonly #rollouts = new Map<string, Stored>();
  readonly #onWishes: (wishes: readonly Wish[]) => void;
  readonly #onStanding: (standing: NonNullable<Change['standing']>) => readonly DeviceId[];

  constructor(
    onWishes: (wishes: readonly Wish[]) => void = () => undefined,
    onStanding: (standing: NonNullable<Change['standing']>) => readonly DeviceId[] = () => [],
  ) {
    this.#onWishes = onWishes;
    this.#onStanding = onStanding;
  }

  async create(record: RolloutRecord, devices: readonly RolloutDevice[], ended: readonly Change[] = []): Promise<void> {
    for (const change of ended) await this.commit(change);
    this.#rollouts.set(record.id, { record, devices: new Map(devices.map((row) => [row.device, row])), decisions: [] });
  }

  replace(): Promise<never> {
    throw new Error('there is no database here to write anything else to');
  }

  async commit({ record, expected, decision, devices, wishes, standing }: Change): Promise<readonly DeviceId[]> {
    const stored = this.#stored(record.id);
    if (stored.record.decisions !== expected)
      throw new SkerryError('ROLLOUT_CHANGED', `${record.id} has ${stored.record.decisions} decisions`);
    stored.record = record;
    if (decision !== undefined) stored.decisions.push(decision);
    for (const row of devices) stored.devices.set(row.device, row);
    this.#onWishes(wishes);
    return standing === undefined ? [] : this.#onStanding(standing);
  }

  async read(id: string): Promise<RolloutRecord> {
    return this.#stored(id).record;
  }

  list(states?: readonly RolloutState[]): Promise<RolloutRecord[]> {
    const records = [...this.#rollouts.values()].map(({ record }) => record).toReversed();
    return Promise.resolve(records.filter((record) => states?.includes(record.state) ?? true));
  }

  async page({ state, before, limit }: RolloutPage): Promise<string[]> {
    const ids = (await this.list(state === undefined ? undefined : [state])).map((record) => record.id);
    return ids.slice(before === undefined ? 0 : ids.indexOf(this.#stored(before).record.id) + 1).slice(0, limit);
  }

  async devices(id: string): Promise<RolloutDevice[]> {
    return [...this.#stored(id).devices.values()];
  }

  async decisions(id: string): Promise<Decision[]> {
    return [...this.#stored(id).decisions];
  }

  #stored(id: string): Stored {
    const stored = this.#rollouts.get(id);
    if (stored === undefined) throw new SkerryError('ROLLOUT_UNKNOWN', `there is no rollout ${id}`);
    return stored;
  }
}
