import { type ModelName, versionKey, type VersionNumber } from '#shared/bundle/names.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import type { Clock } from '#shared/kernel/clock.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { hours, type Millis } from '#shared/kernel/time.js';
import type { Recheck, ServableControl, ServableSpec, ServableStatus, TrafficPolicy } from '#agent/inference/contract.js';

/** A version that served for this long before it stopped by itself does not keep failing. */
const STABLE_AFTER = hours(1);

interface RuntimeListener {
  changed(): void;
  /** A servable stopped by itself. */
  failed(status: ServableStatus): void;
}

/**
 * The runtime as planning sees it: what runs and where requests go is asked of the runtime; since when, how often it failed and what
 * golden samples gave is remembered here. Nothing here survives the process.
 */
export class RuntimeView {
  readonly #control: ServableControl;
  readonly #clock: Clock;
  readonly #available = new Map<string, Millis>();
  readonly #routedAt = new Map<ModelName, Millis>();
  /** Golden samples run again since the version was routed. */
  readonly #rechecked = new Map<string, Recheck>();
  readonly #failures = new BoundedMap<string, number>(LIMITS.rememberedVersions);
  /** Number of the last change of each model, counted over all models: an evicted one never shows a number it showed before. */
  readonly #changes = new BoundedMap<ModelName, number>(LIMITS.rememberedModels);
  #lastChange = 0;
  readonly #stopListening: () => void;

  constructor(control: ServableControl, clock: Clock, listener: RuntimeListener) {
    this.#control = control;
    this.#clock = clock;
    this.#stopListening = control.onChange((status) => {
      const since = this.availableSince(status.model, status.version);
      this.#note(status);
      if (status.state === 'failed' && since !== undefined) {
        const key = versionKey(status.model, status.version);
        const before = clock.monotonic() - since >= STABLE_AFTER ? 0 : (this.#failures.get(key) ?? 0);
        this.#failures.set(key, before + 1);
        listener.failed(status);
      }
      listener.changed();
    });
  }

  /** Grows whenever something that is known here of a model changes. */
  changes(model: ModelName): number {
    return this.#changes.get(model) ?? 0;
  }

  find(model: ModelName, version: VersionNumber): ServableStatus | undefined {
    const status = this.#control.statusOf(model, version);
    return status?.state === 'unloaded' ? undefined : status;
  }

  /** Times a version stopped by itself since the agent started, or since it served for long. */
  failures(model: ModelName, version: VersionNumber): number {
    return this.#failures.get(versionKey(model, version)) ?? 0;
  }

  /** The version that answers requests without a version; `undefined` while none does. */
  routed(model: ModelName): VersionNumber | undefined {
    const version = this.#control.routed(model);
    return version !== undefined && this.find(model, version)?.state === 'available' ? version : undefined;
  }

  /** Since when the routed version serves without failing, monotonic. */
  servingSince(model: ModelName): Millis | undefined {
    return this.routed(model) === undefined ? undefined : this.#routedAt.get(model);
  }

  /** Since when a version is available, monotonic. */
  availableSince(model: ModelName, version: VersionNumber): Millis | undefined {
    return this.#available.get(versionKey(model, version));
  }

  traffic(model: ModelName): TrafficPolicy | undefined {
    return this.#control.traffic(model);
  }

  rechecked(model: ModelName, version: VersionNumber): Recheck | undefined {
    return this.#rechecked.get(versionKey(model, version));
  }

  direct(model: ModelName, policy: TrafficPolicy | undefined): void {
    this.#control.direct(model, policy);
    this.#changed(model);
  }

  async recheck(model: ModelName, version: VersionNumber): Promise<void> {
    this.#rechecked.set(versionKey(model, version), await this.#control.recheck(model, version));
    this.#changed(model);
  }

  /** Rejects as the runtime does; nothing of the version is loaded then. */
  async load(spec: ServableSpec, signal: AbortSignal): Promise<void> {
    try {
      this.#note(await this.#control.load(spec, signal));
    } catch (cause) {
      // A servable that failed stays known to the runtime until it is unloaded.
      if (this.find(spec.model, spec.version) !== undefined) await this.unload(spec.model, spec.version);
      throw cause;
    }
  }

  /** Its bake time starts: a version that stopped and is loaded again is routed again, too. */
  route(model: ModelName, version: VersionNumber): void {
    this.#control.route(model, version);
    this.#rechecked.delete(versionKey(model, version));
    this.#routedAt.set(model, this.#clock.monotonic());
    this.#changed(model);
  }

  async unload(model: ModelName, version: VersionNumber): Promise<void> {
    await this.#control.unload(model, version);
    this.#forget(model, version);
  }

  close(): void {
    this.#stopListening();
  }

  #note({ model, version, state }: ServableStatus): void {
    if (state === 'unloaded') {
      this.#forget(model, version);
      return;
    }
    this.#changed(model);
    const key = versionKey(model, version);
    if (state !== 'available') this.#available.delete(key);
    else if (!this.#available.has(key)) this.#available.set(key, this.#clock.monotonic());
  }

  #forget(model: ModelName, version: VersionNumber): void {
    this.#changed(model);
    this.#available.delete(versionKey(model, version));
    this.#rechecked.delete(versionKey(model, version));
    if (this.#control.routed(model) === undefined) this.#routedAt.delete(model);
  }

  #changed(model: ModelName): void {
    this.#lastChange += 1;
    this.#changes.set(model, this.#lastChange);
  }
}
