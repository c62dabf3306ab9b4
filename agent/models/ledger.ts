import { type ModelName, type VersionNumber, versionKey } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { ServingRecord, StateStore, VersionRecord } from '#agent/store/contract.js';
import type { EventSink } from '#agent/store/events.js';
import { type InstallEvent, nextState } from '#agent/install/decide/install-table.js';
import type { Observe } from './observe.js';
import { emitInstallState } from '#agent/install/install-events.js';

interface LedgerDeps {
  readonly state: StateStore;
  readonly events: EventSink;
  readonly clock: Clock;
  readonly observe: Observe;
}

const NO_RECORDS: readonly VersionRecord[] = [];

type Changes = Partial<Pick<VersionRecord, 'boots' | 'attempt' | 'error'>>;

/**
 * The durable facts about versions, mirrored in memory.
 * INVARIANTS: the store is written first and the mirror after it, so what a plan sees is on disk. Only transitions of the
 * install table happen. Every change is reported to the hub once it is durable.
 */
export class Ledger {
  readonly #deps: LedgerDeps;
  readonly #versions = new Map<string, VersionRecord>();
  /** The same by model, oldest first; made anew when a record of the model changed. */
  readonly #byModel = new Map<ModelName, readonly VersionRecord[]>();
  readonly #serving = new Map<ModelName, ServingRecord>();
  /** Versions whose `boots` hold a start of this run of the agent: given back when it ends in an orderly way. */
  readonly #counted = new Set<string>();

  private constructor(deps: LedgerDeps) {
    this.#deps = deps;
  }

  static async load(deps: LedgerDeps): Promise<Ledger> {
    const ledger = new Ledger(deps);
    for (const record of await deps.state.versions()) ledger.#set(record);
    for (const record of await deps.state.serving()) ledger.#serving.set(record.model, record);
    return ledger;
  }

  models(): ReadonlySet<ModelName> {
    return new Set([...this.#byModel.keys(), ...this.#serving.keys()]);
  }

  /** Oldest first; the very same list as long as none of the records changed. */
  versions(model: ModelName): readonly VersionRecord[] {
    return this.#byModel.get(model) ?? NO_RECORDS;
  }

  find(model: ModelName, version: VersionNumber): VersionRecord | undefined {
    return this.#versions.get(versionKey(model, version));
  }

  /** The record of a version a step is about; that it is there is the planner's promise. */
  get(model: ModelName, version: VersionNumber): VersionRecord {
    const record = this.find(model, version);
    if (record === undefined) throw new SkerryError('INTERNAL', `${model} ${version} is not known here`);
    return record;
  }

  serving(model: ModelName): ServingRecord | undefined {
    return this.#serving.get(model);
  }

  /** Puts a version in `wanted`, new or again. */
  async accept(model: ModelName, version: VersionNumber, manifest: VersionRecord['manifest'], attempt: number): Promise<void> {
    const known = this.find(model, version);
    const install = known?.install === 'bad' ? nextState('bad', 'retry') : 'wanted';
    const record = { model, version, manifest, install, boots: 0, attempt, lastUsedAt: this.#deps.clock.now() };
    await this.#put(record);
    await this.#stored(record, known?.install);
  }

  /** One transition of the install table, durable when it resolves. */
  async transition(model: ModelName, version: VersionNumber, event: InstallEvent, changes: Changes = {}): Promise<void> {
    const before = this.get(model, version);
    const after = moved(before, event, changes);
    await this.#put(after);
    await this.#stored(after, before.install);
  }

  /**
   * Counts an attempt to load before it is made: if the process does not survive it, the next start knows (R2). One process
   * ends once, so a version that is loaded again in the same run counts once.
   */
  async countStart(model: ModelName, version: VersionNumber): Promise<void> {
    const key = versionKey(model, version);
    const { boots } = this.get(model, version);
    await this.transition(model, version, 'start', { boots: this.#counted.has(key) ? boots : boots + 1 });
    this.#counted.add(key);
  }

  /** An attempt counted last failed, and took nothing down. */
  async forgiveStart(model: ModelName, version: VersionNumber): Promise<void> {
    const key = versionKey(model, version);
    if (this.#counted.delete(key)) await this.#forgiveOne(key);
  }

  /**
   * The last run of the agent did not end in order, and it is known which versions were in native code then: the others did
   * not end it, and their starts no longer count. A full disk leaves them counted.
   */
  async forgiveInnocent(suspects: readonly { readonly model: ModelName; readonly version: VersionNumber }[]): Promise<void> {
    const guilty = new Set(suspects.map(({ model, version }) => versionKey(model, version)));
    for (const [key, record] of this.#versions) {
      if (record.boots > 0 && !guilty.has(key)) await this.#put({ ...record, boots: 0 });
    }
  }

  /** The agent ends in an orderly way: attempts of this run took nothing down. */
  async forgiveStarts(): Promise<void> {
    for (const key of this.#counted) await this.#forgiveOne(key);
    this.#counted.clear();
  }

  async #forgiveOne(key: string): Promise<void> {
    const record = this.#versions.get(key);
    if (record !== undefined && record.boots > 0) await this.#put({ ...record, boots: record.boots - 1 });
  }

  /** Makes `version` serve: serving record and every touched version in one transaction. */
  async switchTo(
    model: ModelName,
    version: VersionNumber,
    event: 'switched' | undefined,
    lastKnownGood: VersionNumber | undefined,
  ): Promise<void> {
    const now = this.#deps.clock.now();
    const old = this.#serving.get(model)?.serving;
    const before = this.get(model, version);
    const records = [{ ...(event === undefined ? before : moved(before, event, {})), lastUsedAt: now }];
    const displaced = old === undefined || old === version ? undefined : this.find(model, old);
    if (displaced !== undefined) {
      // A trial that is replaced ends without a verdict.
      const ended = displaced.install === 'probation' ? moved(displaced, 'superseded', { boots: 0 }) : displaced;
      records.push({ ...ended, lastUsedAt: now });
    }
    const serving: ServingRecord = { model, serving: version, lastKnownGood };
    await this.#deps.state.commitSwitch(serving, records);
    this.#serving.set(model, serving);
    for (const record of records) this.#set(record);
    const [after] = records;
    if (after !== undefined) await this.#stored(after, before.install);
  }

  async stopServing(model: ModelName): Promise<void> {
    await this.#deps.state.deleteServing(model);
    this.#serving.delete(model);
  }

  /** Forgets a version. Gone from the mirror at once, so that nothing is planned on files that are about to go. */
  async remove(model: ModelName, version: VersionNumber): Promise<void> {
    const record = this.find(model, version);
    this.#unset(model, version);
    try {
      await this.#deps.state.deleteVersion(model, version);
    } catch (cause) {
      if (record !== undefined) this.#set(record);
      throw cause;
    }
  }

  async #put(record: VersionRecord): Promise<void> {
    await this.#deps.state.putVersion(record);
    this.#set(record);
  }

  #set(record: VersionRecord): void {
    this.#versions.set(versionKey(record.model, record.version), record);
    if (record.boots === 0) this.#counted.delete(versionKey(record.model, record.version));
    const others = this.versions(record.model).filter(({ version }) => version !== record.version);
    this.#byModel.set(
      record.model,
      [...others, record].sort((a, b) => a.version - b.version),
    );
  }

  #unset(model: ModelName, version: VersionNumber): void {
    this.#versions.delete(versionKey(model, version));
    const left = this.versions(model).filter((record) => record.version !== version);
    if (left.length === 0) this.#byModel.delete(model);
    else this.#byModel.set(model, left);
  }

  async #stored(record: VersionRecord, before: VersionRecord['install'] | undefined): Promise<void> {
    const { model, version, install: state } = record;
    emitInstallState(this.#deps.events, record, before);
    await this.#deps.observe({ at: 'persisted', model, version, state });
  }
}

/** Leaving a trial behind forgives its starts; an error is kept only by what is bad. */
function moved(record: VersionRecord, event: InstallEvent, changes: Changes): VersionRecord {
  const { error: _error, ...rest } = record;
  const boots = event === 'proved' || event === 'superseded' || event === 'lost' ? 0 : record.boots;
  return { ...rest, boots, install: nextState(record.install, event), ...changes };
}
