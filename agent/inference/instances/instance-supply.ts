import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, minutes } from '#shared/kernel/time.js';
import type { SkerryError } from '#shared/kernel/errors.js';
import type { CarrierKind } from './carrier.js';
import type { Instance } from './instance.js';
import type { RuntimeDescription, VersionId, WitnessSlot } from './instance-protocol.js';
import type { WitnessFile } from '../faults/witness-file.js';
import { chooseCarrier, type IsolationMode } from '../decide/isolation.js';

/** How long models run in threads after the system refused to start a process. */
const WITHOUT_PROCESSES: Millis = minutes(1);

interface InstanceSupplyDeps {
  readonly start: (kind: CarrierKind) => Instance;
  readonly clock: Clock;
  readonly mode: IsolationMode;
  readonly memoryBytes: number;
  /** Whether native code crashed in a version on this device, or did not come back. */
  readonly crashedBefore: (of: VersionId) => boolean;
  /** Where threads write down that they are in native code; there is none before the store is open. */
  readonly witness: () => WitnessFile | undefined;
  /** An instance that was started already, to be the first. */
  readonly first?: Instance;
}

/**
 * Starts instances, in threads or in processes of their own as `isolation.ts` decides, and knows which are alive.
 * INVARIANT: a slot of the witness belongs to one thread as long as that lives.
 */
export class InstanceSupply {
  readonly #deps: InstanceSupplyDeps;
  readonly #alive = new Set<Instance>();
  readonly #slots = new Map<Instance, WitnessSlot>();
  /** Started or used before, and free: it has the runtime loaded, so the next version starts with it. */
  #spare: Instance | undefined;
  #description: Promise<RuntimeDescription> | undefined;
  #closed = false;
  #stuckThreads = 0;
  #noProcessesBefore: Millis = Number.NEGATIVE_INFINITY;

  constructor(deps: InstanceSupplyDeps) {
    this.#deps = deps;
    if (deps.first === undefined) return;
    this.#spare = deps.first;
    this.#watch(deps.first);
  }

  /** Threads that were given up inside the runtime and live on. */
  get stuckThreads(): number {
    return this.#stuckThreads;
  }

  /** An instance for a version: the spare one where it is of the right kind. */
  take(of: VersionId): Instance {
    return this.#take(this.#kindFor(this.#deps.crashedBefore(of)));
  }

  /** What the runtime is and which providers it offers; asked of an instance once. */
  describe(): Promise<RuntimeDescription> {
    this.#description ??= this.#askDescription().catch((cause: unknown) => {
      this.#description = undefined;
      throw cause;
    });
    return this.#description;
  }

  /** Where an instance in a thread writes down that it is in native code. */
  slotOf(instance: Instance): WitnessSlot | undefined {
    if (instance.carrier === 'process') return undefined;
    const slot = this.#slots.get(instance) ?? this.#deps.witness()?.take();
    if (slot !== undefined) this.#slots.set(instance, slot);
    return slot;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#spare?.close();
  }

  /** Memory of processes that run models, bytes. */
  async residentBytes(): Promise<number> {
    const sizes = await Promise.all([...this.#alive].map((instance) => instance.residentBytes()));
    return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  }

  /** Ends processes at once, for a program that is about to be ended by force. */
  abandonAll(): void {
    for (const instance of this.#alive) if (instance.carrier === 'process') instance.abandon();
  }

  async #askDescription(): Promise<RuntimeDescription> {
    const instance = this.#take(this.#spare?.carrier ?? this.#kindFor(false));
    try {
      const description = await instance.describe();
      // It has the runtime loaded and holds no model.
      if (!this.#closed && this.#spare?.alive !== true) this.#spare = instance;
      else await instance.close();
      return description;
    } catch (cause) {
      await instance.close();
      throw cause;
    }
  }

  #kindFor(crashedBefore: boolean): CarrierKind {
    const { mode, memoryBytes, clock } = this.#deps;
    if (clock.monotonic() < this.#noProcessesBefore) return 'thread';
    const running = [...this.#alive].filter((instance) => instance.carrier === 'process' && instance !== this.#spare).length;
    return chooseCarrier({ mode, memoryBytes, running, crashedBefore });
  }

  #take(kind: CarrierKind): Instance {
    const spare = this.#spare;
    if (spare?.alive === true && spare.carrier === kind) {
      this.#spare = undefined;
      return spare;
    }
    const instance = this.#deps.start(kind);
    this.#watch(instance);
    return instance;
  }

  #watch(instance: Instance): void {
    this.#alive.add(instance);
    void instance.ended.then((reason) => this.#ended(instance, reason));
  }

  #ended(instance: Instance, reason: SkerryError | undefined): void {
    this.#alive.delete(instance);
    const isThread = instance.carrier === 'thread';
    if (isThread && reason?.code === 'INFERENCE_STUCK') {
      // Its thread still writes there.
      this.#stuckThreads += 1;
      return;
    }
    const slot = this.#slots.get(instance);
    if (slot !== undefined) this.#deps.witness()?.release(slot);
    this.#slots.delete(instance);
    if (reason?.details?.['notStarted'] === true) this.#noProcessesBefore = this.#deps.clock.monotonic() + WITHOUT_PROCESSES;
  }
}
