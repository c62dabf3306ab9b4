import type { Clock } from '#shared/kernel/clock.js';
import { isCallersFault } from '#shared/kernel/error-registry.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { checkTensors } from '#shared/tensor/check.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import type { InferRequest, PredictionRecorder, PredictionTarget } from '../contract.js';
import { shadowTolerance } from '../placement/golden.js';
import type { ServableHost } from './servable-host.js';
import type { Served } from './servable-table.js';

/** Requests kept for shadows at one time, all models together; and the largest that is kept, bytes of its inputs. */
const MAX_KEPT = 4;
const MAX_BYTES = 4 * 1024 * 1024;

/** A request kept until it was answered. */
export interface KeptRequest {
  /** The request was answered with these; begins the comparison once the answer is on its way. */
  compare(outputs: NamedTensors): void;
  /** The request failed: there is nothing to compare with. */
  discard(): void;
}

/**
 * Runs candidates on copies of requests. INVARIANTS: a request is never held up by its shadow nor fails because of it; at
 * most MAX_KEPT are kept or run at one time; every request chosen is compared, failed or counted as dropped.
 */
export class ShadowRunner {
  readonly #recorder: PredictionRecorder;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #logger: Logger;
  #kept = 0;

  constructor(recorder: PredictionRecorder, clock: Pick<Clock, 'monotonic'>, logger: Logger) {
    this.#recorder = recorder;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Keeps the inputs of a request for a shadow; `undefined` when it is too large or too much is kept already. */
  keep({ host, target }: Served, request: InferRequest): KeptRequest | undefined {
    if (this.#kept >= MAX_KEPT || bytesOf(request.inputs) > MAX_BYTES) {
      this.#recorder.shadowDropped(target);
      return undefined;
    }
    // A caller that keeps its buffers may write to them as soon as it has its answer.
    const inputs = request.owned === true ? request.inputs : copied(request.inputs);
    this.#kept++;
    return {
      compare: (outputs) => {
        setImmediate(() => void this.#run(host, target, inputs, outputs).finally(() => this.#kept--));
      },
      discard: () => {
        this.#kept--;
      },
    };
  }

  async #run(host: ServableHost, target: PredictionTarget, inputs: NamedTensors, expected: NamedTensors): Promise<void> {
    const began = this.#clock.monotonic();
    try {
      checkTensors(host.spec.inputs, inputs);
      const result = await host.shadow({ inputs: copied(inputs), expected: copied(expected), tolerance: shadowTolerance(host.spec) });
      if (result === undefined) return this.#recorder.shadowDropped(target);
      const { comparison, millis } = result;
      this.#recorder.succeeded(target, { queue: 0, compute: millis, total: millis });
      this.#recorder.shadowed(target, { agrees: comparison.agrees, maxError: comparison.maxError, cost: millis });
    } catch (cause) {
      const error = asSkerryError(cause);
      this.#logger.debug({ model: target.model, version: target.version, code: error.code }, 'a shadow run failed');
      // The version that serves answered this very request: what this one refuses of it is no caller's mistake.
      const code = isCallersFault(error.code) ? 'INFERENCE_SHADOW_REFUSED' : error.code;
      this.#recorder.failed(target, code, this.#clock.monotonic() - began);
    }
  }
}

function bytesOf(tensors: NamedTensors): number {
  return Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);
}

/** Tensors in buffers of their own: what is posted to a worker is the whole buffer under a view. */
function copied(tensors: NamedTensors): NamedTensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, { ...tensor, data: new Uint8Array(tensor.data) }]));
}
