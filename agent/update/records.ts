import { z } from 'zod';
import { AGENT_MODEL, digestSchema, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { openObject } from '#shared/kernel/open-object.js';
import { INSTALL_STATES } from '#shared/protocol/messages.js';
import type { StateStore } from '#agent/store/contract.js';
import type { EventSink } from '#agent/store/events.js';
import { type InstallEvent, nextState } from '#agent/install/decide/install-table.js';
import { emitInstallState } from '#agent/install/install-events.js';

const KEY = 'update.releases';
const MAX_BYTES = 256 * 1024;
/** Releases remembered; the oldest word is forgotten first. */
const KEPT = 8;

const recordSchema = openObject({
  version: versionNumberSchema,
  manifest: digestSchema,
  install: z.enum(INSTALL_STATES),
  /** The desired state's `attempt` under which it was wanted or marked bad. */
  attempt: z.int().min(0),
  /** How often the process was handed over to it. */
  handovers: z.int().min(0),
  error: openObject({ code: z.string(), message: z.string() }).optional(),
});
/** What is known of one release on this device. */
export type ReleaseRecord = z.infer<typeof recordSchema>;

const documentSchema = openObject({ records: z.array(recordSchema).max(KEPT) });

interface RecordsDeps {
  readonly state: Pick<StateStore, 'get' | 'set'>;
  readonly events: EventSink;
  /** Called once a change is durable. */
  readonly changed: () => void;
}

/**
 * The durable facts about releases, mirrored in memory: oldest word first. The same states as a model's version, and the same
 * table of transitions (agent/models/decide/install-table.ts).
 * INVARIANTS: the store is written first and the mirror after it; every change is reported to the hub once it is durable.
 */
export class ReleaseRecords {
  readonly #deps: RecordsDeps;
  #records: readonly ReleaseRecord[];

  private constructor(deps: RecordsDeps, records: readonly ReleaseRecord[]) {
    this.#deps = deps;
    this.#records = records;
  }

  static async load(deps: RecordsDeps): Promise<ReleaseRecords> {
    const text = await deps.state.get(KEY);
    if (text === undefined) return new ReleaseRecords(deps, []);
    const bytes = new TextEncoder().encode(text);
    const { records } = parseJson(documentSchema, bytes, { what: 'the stored releases', maxBytes: MAX_BYTES, code: 'STORE_CORRUPT' });
    return new ReleaseRecords(deps, records);
  }

  list(): readonly ReleaseRecord[] {
    return this.#records;
  }

  find(version: VersionNumber): ReleaseRecord | undefined {
    return this.#records.find((record) => record.version === version);
  }

  /** The record of a release a step is about; that it is there is the planner's promise. */
  get(version: VersionNumber): ReleaseRecord {
    const record = this.find(version);
    if (record === undefined) throw new SkerryError('INTERNAL', `release ${version} of the agent is unknown here`);
    return record;
  }

  /** Takes the next state of the table; `refuse` takes the reason with it. */
  async transition(
    version: VersionNumber,
    event: InstallEvent,
    changes: Partial<Pick<ReleaseRecord, 'error' | 'attempt'>> = {},
  ): Promise<void> {
    const record = this.get(version);
    const { error: _error, ...rest } = record;
    const handovers = event === 'start' ? record.handovers + 1 : record.handovers;
    await this.put({ ...rest, handovers, install: nextState(record.install, event), ...changes });
  }

  /** Writes a record as it is. */
  async put(record: ReleaseRecord): Promise<void> {
    const before = this.find(record.version);
    await this.#write([...this.#records.filter((other) => other.version !== record.version), record].slice(-KEPT));
    const { events, changed } = this.#deps;
    emitInstallState(events, { ...record, model: AGENT_MODEL }, before?.install);
    changed();
  }

  async remove(version: VersionNumber): Promise<void> {
    await this.#write(this.#records.filter((record) => record.version !== version));
    this.#deps.changed();
  }

  async #write(records: readonly ReleaseRecord[]): Promise<void> {
    await this.#deps.state.set(KEY, JSON.stringify({ records }));
    this.#records = records;
  }
}
