import type { CarrierKind } from '#agent/inference/instances/carrier.js';
import type { Instance, SampleRun } from '#agent/inference/instances/instance.js';
import type { LoadOptions } from '#agent/inference/instances/instance-protocol.js';
import type { RuntimeDescription, SampleResult } from '#agent/inference/instances/instance-protocol.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { compareOutputs } from '#shared/tensor/compare.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';

/** What a fake device does with a model on a provider: by default y = x. */
export interface FakeBehaviour {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly run?: (inputs: NamedTensors) => NamedTensors;
  /** Duration `check` reports. */
  readonly millis?: number;
  /** Memory of its process; that of a thread is not known. */
  readonly ownBytes?: number;
  /** Called when a model is about to be loaded. */
  readonly onTouch?: () => void;
  /** Instead of loading: an error, or the end of the worker. */
  readonly onLoad?: SkerryError | 'die';
}

/** An instance in memory. Runs end when the test says so (`finish`), or at once when `auto`. */
export class FakeInstance implements Instance {
  readonly ended: Promise<SkerryError | undefined>;
  readonly runs: { readonly inputs: NamedTensors; readonly finish: () => void; readonly fail: (error: SkerryError) => void }[] = [];
  carrier: CarrierKind = 'thread';
  provider = '';
  file = '';
  closed = false;
  alive = true;
  readonly #behaviour: (file: string, provider: string) => FakeBehaviour;
  readonly #auto: boolean;
  #end: (reason: SkerryError | undefined) => void = () => undefined;

  constructor(behaviour: FakeBehaviour | ((file: string, provider: string) => FakeBehaviour), auto = true) {
    this.#behaviour = typeof behaviour === 'function' ? behaviour : () => behaviour;
    this.#auto = auto;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  describe(): Promise<RuntimeDescription> {
    return Promise.resolve({ name: 'fake', version: '1', providers: ['cpu', 'gpu', 'npu'] });
  }

  load({ file, provider }: LoadOptions) {
    this.file = file;
    this.provider = provider;
    const { onLoad, onTouch, inputs, outputs } = this.#now();
    onTouch?.();
    if (onLoad === 'die') {
      this.die();
      return Promise.reject(new SkerryError('INFERENCE_INSTANCE_DIED', 'the fake worker died'));
    }
    return onLoad === undefined ? Promise.resolve({ inputs, outputs }) : Promise.reject(onLoad);
  }

  check(sample: SampleRun): Promise<SampleResult> {
    const comparison = compareOutputs(sample.expected, this.#compute(sample.inputs), sample.tolerance);
    return Promise.resolve({ comparison, output: undefined, millis: this.#now().millis ?? 1 });
  }

  run(inputs: NamedTensors): Promise<{ outputs: NamedTensors; compute: number }> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        try {
          resolve({ outputs: this.#compute(inputs), compute: 1 });
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      this.runs.push({ inputs, finish, fail: reject });
      if (this.#auto) finish();
    });
  }

  close(): Promise<void> {
    this.closed = true;
    this.alive = false;
    this.#end(undefined);
    return Promise.resolve();
  }

  abandon(): void {
    this.die();
  }

  residentBytes(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  ownBytes(): Promise<number | undefined> {
    return Promise.resolve(this.#now().ownBytes);
  }

  /** The worker ends unasked; what runs in it fails. */
  die(): void {
    const reason = new SkerryError('INFERENCE_INSTANCE_DIED', 'the fake worker died');
    this.alive = false;
    for (const run of this.runs) run.fail(reason);
    this.#end(reason);
  }

  /** The worker is over for a reason of the test's. */
  end(reason: SkerryError): void {
    this.alive = false;
    this.#end(reason);
  }

  #now(): FakeBehaviour {
    return this.#behaviour(this.file, this.provider);
  }

  #compute(inputs: NamedTensors): NamedTensors {
    const { run } = this.#now();
    return run === undefined ? Object.fromEntries(Object.values(inputs).map((tensor) => ['y', tensor])) : run(inputs);
  }
}
