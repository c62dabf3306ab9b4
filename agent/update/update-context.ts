import { AGENT_MODEL, type Digest, type VersionNumber } from '#shared/bundle/names.js';
import type { DesiredModel } from '#shared/trust/desired.js';
import type { AdmissionDeps } from '#agent/install/admission.js';
import type { StepError } from '#agent/install/decide/install-step.js';
import { Downloads } from '#agent/install/downloads.js';
import { Losses } from '#agent/install/losses.js';
import { MIGRATIONS } from '#agent/store/worker/migrations.js';
import type { Handover, UpdaterDeps } from './ports.js';
import type { ReleaseRecords } from './records.js';
import { ReleaseManifests } from './release-manifests.js';
import { noSlots, type Runnable, type SlotName, type Slots, spareSlot } from './slots.js';

/** Everything steps of self-update work with: the ports, and what is known beside the records. */
export class UpdateContext {
  readonly deps: UpdaterDeps;
  readonly records: ReleaseRecords;
  readonly manifests: ReleaseManifests;
  readonly downloads: Downloads;
  readonly losses = new Losses();
  readonly self: Runnable;
  readonly admission: AdmissionDeps;
  /** Bytes of the wanted executable that are here, while it is fetched. */
  progress: { readonly have: number; readonly total: number } | undefined;
  /** Why the last step failed. */
  error: StepError | undefined;
  /** The hub stored what this release reported of itself. */
  confirmed = false;
  /** This process was asked to end: no step is begun. */
  leaving = false;
  #slots: Slots;
  /** Content of the spare slot, as hashed last. */
  #found: { readonly slot: SlotName; readonly digest: Digest | undefined } | undefined;
  readonly #changed: () => void;

  constructor(deps: UpdaterDeps, records: ReleaseRecords, slots: Slots | undefined, changed: () => void) {
    this.deps = deps;
    this.#changed = changed;
    this.records = records;
    this.manifests = new ReleaseManifests(deps.blobs, deps.platform);
    this.downloads = new Downloads(deps.blobs, deps.fetcher);
    this.admission = { trust: deps.trust, minimums: new Map() };
    this.self = deps.launched?.runs ?? 'packaged';
    this.#slots = slots ?? noSlots(deps.launched?.packaged ?? deps.release);
  }

  get slots(): Slots {
    return this.#slots;
  }

  /** Counter of the release on trial, if it is the one that runs. */
  get onTrial(): VersionNumber | undefined {
    const { trying } = this.#slots;
    return trying !== null && trying.slot === this.self ? trying.version : undefined;
  }

  /** Counter of the release that runs; `undefined` for the packaged one. */
  get runs(): VersionNumber | undefined {
    const { good, trying } = this.#slots;
    return [trying, good].find((release) => release?.slot === this.self)?.version;
  }

  get desired(): DesiredModel | undefined {
    return this.deps.desired.current()?.models.find(({ model }) => model === AGENT_MODEL);
  }

  /** A desired state was accepted. */
  get desiredKnown(): boolean {
    return this.deps.desired.current() !== undefined;
  }

  /** The packaged executable knows another schema of the state than this release: it may not be able to read what is here. */
  get noWayBack(): boolean {
    const { launched } = this.deps;
    return launched !== undefined && launched.schema !== MIGRATIONS.length;
  }

  /** The `attempt` under which a release is being tried; `known` when the hub no longer wants it. */
  attemptOf(version: VersionNumber, known: number): number {
    return this.desired?.version === version ? this.desired.attempt : known;
  }

  /** On the disk before anything is done because of it. */
  async writeSlots(slots: Slots): Promise<void> {
    const packaged = this.deps.launched?.packaged ?? slots.packaged;
    const next = { ...slots, packaged };
    await this.deps.folder.write(next);
    this.#slots = next;
  }

  /** True when the spare slot holds this executable; hashed once, then again only after something was written there. */
  async isPlaced(digest: Digest): Promise<boolean> {
    const slot = spareSlot(this.#slots);
    if (this.#found?.slot !== slot) {
      // A file that cannot be read is written again, and that reports why.
      const found = await this.deps.blobs.digestAt(this.deps.folder.executable(slot)).catch(() => undefined);
      this.#found = { slot, digest: found };
    }
    return this.#found.digest === digest;
  }

  /** The spare slot was written to: its content has to be hashed again. */
  forgetPlaced(): void {
    this.#found = undefined;
  }

  setProgress(progress: { readonly have: number; readonly total: number }): void {
    this.progress = progress;
    this.#changed();
  }

  /** Asks for an orderly end of this process, after which the launcher looks at the slots. */
  leave(handover: Handover): void {
    if (this.leaving) return;
    this.leaving = true;
    this.deps.makeRoom(handover);
  }

  /** The running release is good: deletes what was kept for going back from it, and what others unpacked. */
  async settleDown(): Promise<void> {
    const { program, launched, onGood } = this.deps;
    const { good, before } = this.#slots;
    const natives = [launched?.natives, good?.natives, before?.natives].filter((digest) => digest !== undefined);
    program?.sweepNatives(new Set(natives));
    // The packaged executable may be what a package was upgraded to by hand: going back by hand stays possible.
    if (this.runs !== undefined) await onGood(launched?.schema);
  }
}
