import { AGENT_MODEL, type Digest, type VersionNumber } from '#shared/bundle/names.js';
import { decodeAgentManifest } from '#shared/bundle/manifest-codec.js';
import type { AgentManifest } from '#shared/bundle/agent-manifest.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { MIGRATIONS } from '#agent/store/worker/migrations.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { DesiredModel } from '#shared/trust/desired.js';
import type { Handover, UpdaterDeps } from './ports.js';
import type { ReleaseRecords } from './records.js';
import { noSlots, type Runnable, type SlotName, type Slots, spareSlot } from './slots.js';
import type { ReleaseFacts } from './decide/update-plan.js';

/** Everything steps of self-update work with: the ports, and what is known beside the records. */
export class Desk {
  readonly deps: UpdaterDeps;
  readonly records: ReleaseRecords;
  readonly self: Runnable;
  /** Lowest release the publisher allows, by model, as last seen. */
  readonly minimums = new Map<string, number>();
  /** Bytes of the wanted executable that are here, while it is fetched. */
  progress: { readonly have: number; readonly total: number } | undefined;
  /** Why the last step failed. */
  error: { readonly code: string; readonly message: string } | undefined;
  /** The hub stored what this release said of itself. */
  confirmed = false;
  /** How often the wanted release lost its file after it was complete. */
  losses = 0;
  /** Somebody was asked to end this process: nothing more is begun. */
  leaving = false;
  #slots: Slots;
  #manifest: { readonly digest: Digest; readonly manifest: AgentManifest } | undefined;
  /** What was found in a slot last. */
  #found: { readonly slot: SlotName; readonly digest: Digest | undefined } | undefined;

  readonly #changed: () => void;

  constructor(deps: UpdaterDeps, records: ReleaseRecords, slots: Slots | undefined, changed: () => void) {
    this.deps = deps;
    this.#changed = changed;
    this.records = records;
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

  /** The hub has said what it wants of this device. */
  get told(): boolean {
    return this.deps.desired.current() !== undefined;
  }

  /** The packaged executable knows another schema of the state than this release: it may not be able to read what is here. */
  get noWayBack(): boolean {
    const { launched } = this.deps;
    return launched !== undefined && launched.schema !== MIGRATIONS.length;
  }

  /** On the disk before anything is done because of it. */
  async writeSlots(slots: Slots): Promise<void> {
    const packaged = this.deps.launched?.packaged ?? slots.packaged;
    const next = { ...slots, packaged };
    await this.deps.folder.write(next);
    this.#slots = next;
  }

  /** The manifest of a release. Throws `STORE_BLOB_*`, `BUNDLE_MANIFEST_INVALID`, `MODELS_MANIFEST_MISMATCH`. */
  async manifest(version: VersionNumber, digest: Digest): Promise<AgentManifest> {
    if (this.#manifest?.digest === digest) return this.#manifest.manifest;
    const manifest = decodeAgentManifest(await this.deps.blobs.read(digest, LIMITS.manifestBytes));
    if (manifest.version !== version) {
      throw new SkerryError('MODELS_MANIFEST_MISMATCH', `the manifest of release ${version} describes release ${manifest.version}`);
    }
    this.#manifest = { digest, manifest };
    return manifest;
  }

  /** What planning needs of a manifest; `undefined` when it is not here or cannot be read, which fetching it then reports. */
  async facts(version: VersionNumber, digest: Digest): Promise<ReleaseFacts | undefined> {
    if (this.#manifest?.digest !== digest && !(await this.deps.blobs.has(digest))) return undefined;
    try {
      const manifest = await this.manifest(version, digest);
      const executable = this.executableIn(manifest);
      return { release: manifest.release, takesOverFrom: manifest.takesOverFrom, executable };
    } catch {
      return undefined;
    }
  }

  /** The file for this device. */
  executableIn({ variants, artifacts }: AgentManifest): AgentManifest['artifacts'][number] | undefined {
    const { os, arch } = this.deps.platform;
    const variant = variants.find((candidate) => candidate.platform === os && candidate.arch === arch);
    return artifacts.find(({ digest }) => digest === variant?.artifact);
  }

  /** True when the spare slot holds this executable; hashed once, then again only after something was written there. */
  async isPlaced(digest: Digest): Promise<boolean> {
    const slot = spareSlot(this.#slots);
    if (this.#found?.slot !== slot) {
      // What cannot be read is written anew, and that tells why.
      const found = await this.deps.blobs.digestAt(this.deps.folder.executable(slot)).catch(() => undefined);
      this.#found = { slot, digest: found };
    }
    return this.#found.digest === digest;
  }

  lookAgain(): void {
    this.#found = undefined;
  }

  tellProgress(progress: { readonly have: number; readonly total: number }): void {
    this.progress = progress;
    this.#changed();
  }

  /** Asks for an orderly end of this process, after which the launcher looks at the slots. */
  leave(handover: Handover): void {
    if (this.leaving) return;
    this.leaving = true;
    this.deps.makeRoom(handover);
  }

  /** What runs is good: what was kept for going back from it, and what others unpacked, can go. */
  async settleDown(): Promise<void> {
    const { program, launched, onGood } = this.deps;
    const { good, before } = this.#slots;
    const natives = [launched?.natives, good?.natives, before?.natives].filter((digest) => digest !== undefined);
    program?.sweepNatives(new Set(natives));
    // The packaged executable may be what a package was upgraded to by hand: going back by hand stays possible.
    if (this.runs !== undefined) await onGood(launched?.schema);
  }
}
