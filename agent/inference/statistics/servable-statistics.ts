import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';

/** How often something happened, and how long it took in all; nanoseconds are whole. */
export interface DurationTotal {
  readonly count: number;
  readonly ns: number;
}

/** The parts of a run: handing the inputs over, the model itself, and taking the outputs back. */
export interface ComputeTotals {
  readonly computeInput: DurationTotal;
  readonly computeInfer: DurationTotal;
  readonly computeOutput: DurationTotal;
}

/** Runs of one number of rows. */
export interface BatchTotals extends ComputeTotals {
  readonly batchSize: number;
}

/** What a servable did since it was loaded, as Triton counts it: durations of a run shared by several requests count for each of them. */
export interface ServableStatistics extends ComputeTotals {
  readonly model: ModelName;
  readonly version: VersionNumber;
  /** When the last request was answered, milliseconds since 1970; 0 before the first. */
  readonly lastInference: number;
  /** Rows of all answered requests; 1 for a request to a model without batches. */
  readonly inferenceCount: number;
  /** Runs of the model: fewer than requests where requests shared runs. */
  readonly executionCount: number;
  readonly success: DurationTotal;
  readonly fail: DurationTotal;
  readonly queue: DurationTotal;
  /** Rising by their size. */
  readonly batches: readonly BatchTotals[];
}

/** Durations of one run. */
export interface RunTimes {
  readonly input: Millis;
  readonly compute: Millis;
  readonly output: Millis;
}

/** One answered request. */
interface AnsweredRequest extends RunTimes {
  readonly queue: Millis;
  readonly total: Millis;
  readonly rows: number;
}

/** Sizes of batches told apart; a larger number would come from requests that no batch holds, each its own size. */
const MOST_BATCH_SIZES = 256;

/** Counts what one servable does. Requests that never reached its queue, because they did not fit the model, are none of its failures. */
export class StatisticsCounter {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #success = new Total();
  readonly #fail = new Total();
  readonly #queue = new Total();
  readonly #compute = new ComputeCounter();
  readonly #batches = new Map<number, ComputeCounter>();
  #lastInference = 0;
  #inferenceCount = 0;
  #executionCount = 0;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  /** The model ran once. */
  ran(rows: number, times: RunTimes): void {
    this.#executionCount++;
    let batch = this.#batches.get(rows);
    if (batch === undefined) {
      if (this.#batches.size >= MOST_BATCH_SIZES) return;
      this.#batches.set(rows, (batch = new ComputeCounter()));
    }
    batch.add(times);
  }

  succeeded(request: AnsweredRequest): void {
    this.#lastInference = Math.round(this.#clock.now());
    this.#inferenceCount += request.rows;
    this.#success.add(request.total);
    this.#queue.add(request.queue);
    this.#compute.add(request);
  }

  failed(total: Millis): void {
    this.#fail.add(total);
  }

  read(model: ModelName, version: VersionNumber): ServableStatistics {
    const sizes = [...this.#batches].toSorted(([a], [b]) => a - b);
    return {
      model,
      version,
      lastInference: this.#lastInference,
      inferenceCount: this.#inferenceCount,
      executionCount: this.#executionCount,
      success: this.#success.read(),
      fail: this.#fail.read(),
      queue: this.#queue.read(),
      ...this.#compute.read(),
      batches: sizes.map(([batchSize, totals]) => ({ batchSize, ...totals.read() })),
    };
  }
}

class ComputeCounter {
  readonly #input = new Total();
  readonly #infer = new Total();
  readonly #output = new Total();

  add({ input, compute, output }: RunTimes): void {
    this.#input.add(input);
    this.#infer.add(compute);
    this.#output.add(output);
  }

  read(): ComputeTotals {
    return { computeInput: this.#input.read(), computeInfer: this.#infer.read(), computeOutput: this.#output.read() };
  }
}

class Total {
  #count = 0;
  #millis = 0;

  add(millis: Millis): void {
    this.#count++;
    this.#millis += Math.max(0, millis);
  }

  read(): DurationTotal {
    return { count: this.#count, ns: Math.round(this.#millis * 1e6) };
  }
}
