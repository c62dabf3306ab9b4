import type { LoadedAside, ServableStatus } from '#agent/inference/contract.js';
import type { InferenceRuntime } from '#agent/inference/runtime.js';
import type { RepositoryEntry } from '#agent/serve/repository.js';
import { entryOf } from '#agent/serve/repository.js';
import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { ExclusiveQueue } from '#shared/kernel/exclusive-queue.js';
import { asSkerryError, type SkerryError } from '#shared/kernel/errors.js';
import { movedLabels } from './decide/labels.js';
import { type ModelPlan, specOf } from './plan.js';

type Runtime = Pick<InferenceRuntime, 'list' | 'loadAside' | 'route' | 'unload' | 'statusOf'>;

/** What is served of a model: its plan, and who asked for it. */
export interface Serving {
  readonly plan: ModelPlan;
  /** The folder as it was when a client gave something in its place; undefined: nobody did, or there was none. */
  readonly overridden: string | undefined;
  /** Takes away what it needs no more. */
  readonly release: () => Promise<void>;
}

/** Versions that are loaded and serve nobody yet. Just one of its functions is called, once. */
export interface Prepared {
  changeOver(): Promise<void>;
  discard(): Promise<void>;
}

/**
 * One model of a repository. INVARIANTS: one change at a time; a change that fails leaves what was served as it was; the versions of a
 * change take their places together.
 */
export class ServedModel {
  readonly name: ModelName;
  readonly changes = new ExclusiveQueue();
  readonly #runtime: Runtime;
  #serving: Serving | undefined;
  #labels: ReadonlyMap<string, VersionNumber> = new Map();
  /** Versions that are being loaded now. */
  #coming: readonly VersionNumber[] = [];
  /** Versions that were served once. */
  readonly #seen = new Set<VersionNumber>();
  #failure: { readonly versions: readonly VersionNumber[]; readonly error: SkerryError } | undefined;

  constructor(name: ModelName, runtime: Runtime) {
    this.name = name;
    this.#runtime = runtime;
  }

  get serving(): Serving | undefined {
    return this.#serving;
  }

  /** The folder as the last change found it, whatever came of the change. */
  mark: string | undefined;

  /** Versions that labels stand for; all of them are served. */
  get labels(): ReadonlyMap<string, VersionNumber> {
    return this.#labels;
  }

  /** Why the last change failed, until one succeeds. */
  get failure(): SkerryError | undefined {
    return this.#failure?.error;
  }

  /** A change failed: when it had come to loading some versions, these have the reason. */
  failed(error: SkerryError, versions: readonly VersionNumber[] = []): void {
    if (this.#failure?.error !== error) this.#failure = { versions, error };
  }

  /** Loads what is new beside what is served. Rejects, with nothing changed, when one version cannot be loaded. */
  async prepare(next: Serving): Promise<Prepared> {
    const { plan } = next;
    const fresh = plan.versions.filter((version) => !this.#isServed(plan, version));
    this.#coming = fresh.map(({ version }) => version);
    const aside: LoadedAside[] = [];
    try {
      for (const version of fresh) aside.push(await this.#runtime.loadAside(specOf(plan, version)));
    } catch (cause) {
      await Promise.all(aside.map((loaded) => loaded.discard()));
      const error = asSkerryError(cause);
      this.failed(error, this.#coming);
      throw error;
    } finally {
      this.#coming = [];
    }
    return {
      changeOver: () => this.#changeOver(next, aside),
      discard: async () => {
        await Promise.all(aside.map((loaded) => loaded.discard()));
      },
    };
  }

  async #changeOver(next: Serving, aside: readonly LoadedAside[]): Promise<void> {
    const { plan } = next;
    const old = this.#serving;
    this.#failure = undefined;
    this.#serving = next;
    const leaving = this.#statuses().filter(({ version }) => plan.versions.every((kept) => kept.version !== version));
    for (const { version } of plan.versions) this.#seen.add(version);
    const gone = aside.map((loaded) => loaded.takePlace());
    this.#labels = movedLabels(this.#labels, plan);
    const newest = plan.versions.at(-1);
    if (newest !== undefined) this.#runtime.route(this.name, newest.version);
    // What is served from now on stands, whatever becomes of what leaves.
    await settled([...gone, ...leaving.map(({ version }) => this.#runtime.unload(this.name, version))], old);
  }

  async unload(): Promise<void> {
    const old = this.#serving;
    this.#serving = undefined;
    this.#labels = new Map();
    this.#failure = undefined;
    await settled(
      this.#statuses().map(({ version }) => this.#runtime.unload(this.name, version)),
      old,
    );
  }

  entries(): readonly RepositoryEntry[] {
    const { name } = this;
    const entries = new Map<VersionNumber, RepositoryEntry>();
    for (const version of this.#seen) entries.set(version, { name, version, state: 'UNAVAILABLE', reason: 'unloaded' });
    const { versions, error } = this.#failure ?? {};
    for (const version of versions ?? []) entries.set(version, { name, version, state: 'UNAVAILABLE', reason: error?.message ?? '' });
    for (const status of this.#statuses()) entries.set(status.version, entryOf(status));
    for (const version of this.#coming) {
      if (entries.get(version)?.state !== 'READY') entries.set(version, { name, version, state: 'LOADING' });
    }
    if (entries.size > 0) return [...entries.values()].toSorted((a, b) => (a.version ?? 0) - (b.version ?? 0));
    return [{ name, state: 'UNAVAILABLE', ...(error === undefined ? {} : { reason: error.message }) }];
  }

  #statuses(): readonly ServableStatus[] {
    return this.#runtime.list().filter(({ model }) => model === this.name);
  }

  /** The same file under the same configuration, and it serves. */
  #isServed(plan: ModelPlan, { version, mark }: ModelPlan['versions'][number]): boolean {
    const old = this.#serving?.plan;
    if (old === undefined || JSON.stringify(old.document) !== JSON.stringify(plan.document)) return false;
    const status = this.#runtime.statusOf(this.name, version);
    return status?.state === 'available' && status.manifest === mark;
  }
}

/** Waits for all that leaves, then takes away its files. Rejects with the first failure only after that. */
async function settled(leaving: readonly Promise<void>[], old: Serving | undefined): Promise<void> {
  const results = await Promise.allSettled(leaving);
  await old?.release();
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw asSkerryError(failed.reason);
}
