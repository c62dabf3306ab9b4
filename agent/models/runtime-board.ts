import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import type { Clock } from '#shared/kernel/clock.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { hours, type Millis } from '#shared/kernel/time.js';
import type { Recheck, ServableControl, ServableSpec, ServableStatus, TrafficPolicy } from '#agent/inference/contract.js';

/** A version that served for so long before it stopped by itself does not keep failing. */
const STOOD = hours(1);

/** What runs now, as the runtime tells it, and where requests go. Nothing here survives the process. */
export class RuntimeBoard {
  readonly #control: ServableControl;
  readonly #clock: Clock;
  readonly #statuses = new Map<string, ServableStatus>();
  readonly #available = new Map<string, Millis>();
  readonly #traffic = new Map<ModelName, TrafficPolicy>();
  /** Golden samples run again since the version was routed. */
  readonly #rechecked = new Map<string, Recheck>();
  readonly #failures = new BoundedMap<string, number>(LIMITS.rememberedVersions);
  readonly #routed = new Map<ModelName, { readonly version: VersionNumber; readonly since: Millis }>();
  /** Number of the last change of each model, counted over all models: an evicted one never shows a number it showed before. */
  readonly #changes = new BoundedMap<ModelName, number>(LIMITS.rememberedModels);
  #lastChange = 0;
  readonly #stopListening: () => void;

  /** `failed` is told of servables that stopped by themselves. */
  constructor(control: ServableControl, clock: Clock, listener: { changed(): void; failed(status: ServableStatus): void }) {
    this.#control = control;
    this.#clock = clock;
    this.#stopListening = control.onChange((status) => {
      const wasAvailable = this.find(status.model, status.version)?.state === 'available';
      const since = this.availableSince(status.model, status.version) ?? clock.monotonic();
      this.#note(status);
      if (status.state === 'failed' && wasAvailable) {
        const key = keyOf(status.model, status.version);
        const before = clock.monotonic() - since >= STOOD ? 0 : (this.#failures.get(key) ?? 0);
        this.#failures.set(key, before + 1);
        listener.failed(status);
      }
      listener.changed();
    });
  }

  /** Differs from before whenever something that is said here of a model changed. */
  changes(model: ModelName): number {
    return this.#changes.get(model) ?? 0;
  }

  find(model: ModelName, version: VersionNumber): ServableStatus | undefined {
    return this.#statuses.get(keyOf(model, version));
  }

  /** Times a version stopped by itself since the agent started, or since it stood for long. */
  failures(model: ModelName, version: VersionNumber): number {
    return this.#failures.get(keyOf(model, version)) ?? 0;
  }

  routed(model: ModelName): VersionNumber | undefined {
    return this.#routed.get(model)?.version;
  }

  /** Since when the routed version serves without failing, monotonic. */
  servingSince(model: ModelName): Millis | undefined {
    return this.#routed.get(model)?.since;
  }

  /** Since when a version is available, monotonic. */
  availableSince(model: ModelName, version: VersionNumber): Millis | undefined {
    return this.#available.get(keyOf(model, version));
  }

  traffic(model: ModelName): TrafficPolicy | undefined {
    return this.#traffic.get(model);
  }

  rechecked(model: ModelName, version: VersionNumber): Recheck | undefined {
    return this.#rechecked.get(keyOf(model, version));
  }

  direct(model: ModelName, policy: TrafficPolicy | undefined): void {
    this.#control.direct(model, policy);
    this.#changed(model);
    if (policy === undefined) this.#traffic.delete(model);
    else this.#traffic.set(model, policy);
  }

  async recheck(model: ModelName, version: VersionNumber): Promise<void> {
    this.#rechecked.set(keyOf(model, version), await this.#control.recheck(model, version));
    this.#changed(model);
  }

  /** Rejects as the runtime does; nothing of the version runs then. */
  async load(spec: ServableSpec, signal: AbortSignal): Promise<void> {
    try {
      this.#note(await this.#control.load(spec, signal));
    } catch (cause) {
      this.#forget(spec.model, spec.version);
      throw cause;
    }
  }

  route(model: ModelName, version: VersionNumber): void {
    this.#control.route(model, version);
    this.#rechecked.delete(keyOf(model, version));
    this.#routed.set(model, { version, since: this.#clock.monotonic() });
    this.#changed(model);
  }

  async unload(model: ModelName, version: VersionNumber): Promise<void> {
    await this.#control.unload(model, version);
    this.#forget(model, version);
  }

  close(): void {
    this.#stopListening();
  }

  #note(status: ServableStatus): void {
    if (status.state === 'unloaded') {
      this.#forget(status.model, status.version);
      return;
    }
    this.#changed(status.model);
    const key = keyOf(status.model, status.version);
    this.#statuses.set(key, status);
    if (status.state !== 'available') this.#available.delete(key);
    else if (!this.#available.has(key)) this.#available.set(key, this.#clock.monotonic());
    if (status.state === 'failed') this.#unroute(status.model, status.version);
  }

  #forget(model: ModelName, version: VersionNumber): void {
    this.#changed(model);
    this.#statuses.delete(keyOf(model, version));
    this.#available.delete(keyOf(model, version));
    this.#rechecked.delete(keyOf(model, version));
    // The runtime forgets a candidate it unloads.
    if (this.#traffic.get(model)?.candidate === version) this.#traffic.delete(model);
    this.#unroute(model, version);
  }

  #changed(model: ModelName): void {
    this.#lastChange += 1;
    this.#changes.set(model, this.#lastChange);
  }

  /** It has to be routed again once it is back, and its bake time starts over. */
  #unroute(model: ModelName, version: VersionNumber): void {
    if (this.#routed.get(model)?.version === version) this.#routed.delete(model);
  }
}

function keyOf(model: ModelName, version: VersionNumber): string {
  return `${model}@${version}`;
}
