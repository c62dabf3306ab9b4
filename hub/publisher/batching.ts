import { SkerryError } from '#shared/kernel/errors.js';
import { compareOutputs } from '#shared/tensor/compare.js';
import { batchKey, rowProblem, rowsOf, stack, unstack } from '#shared/tensor/rows.js';
import { formatShape } from '#shared/tensor/shape.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import {
  codesAlike,
  codesCleared,
  codesDoubled,
  codesOneLess,
  mixed,
  negated,
  oneLess,
  reversed,
  scaled,
  zeros,
} from './altered-inputs.js';
import type { RecordedSample } from './golden.js';
import { type LoadedModel, messageOf } from './runtime.js';

type Sample = Pick<RecordedSample, 'name' | 'inputs' | 'tolerance'>;

/** A sample that was run by itself. */
interface Alone extends Sample {
  readonly rows: number;
  readonly outputs: NamedTensors;
}

/** Golden samples that are run together; more would take time and show nothing new. */
const MOST_SAMPLES = 4;

/** Inputs that are altered one by one where the model rejects all altered at once. */
const MOST_APART = 8;

/**
 * Checks that requests may share runs along dimension 0. Every input and output has to vary there; each sample, and inputs of each altered
 * so that their values differ widely, must give one row of every output for each input row; and different samples must give the
 * same rows together, in other orders and with other row counts, as each gives by itself. Throws `BATCHING_UNSUPPORTED`.
 */
export async function checkBatching(variant: string, model: LoadedModel, samples: readonly RecordedSample[]): Promise<void> {
  const fixed = [...model.inputs, ...model.outputs].find(({ spec }) => spec.shape[0] !== -1);
  if (fixed !== undefined) {
    const { name, shape } = fixed.spec;
    throw unsupported(variant, `${name} has shape ${formatShape(shape)}, whose first dimension does not vary`);
  }
  const check = new BatchCheck(variant, model);
  const alone: Alone[] = [];
  for (const sample of samples.slice(0, MOST_SAMPLES)) alone.push(await check.alone(sample));
  for (const sample of alone) await check.rowsOfAltered(sample);
  for (const pair of await check.pairs(alone)) await check.together(pair);
}

class BatchCheck {
  readonly #variant: string;
  readonly #model: LoadedModel;

  constructor(variant: string, model: LoadedModel) {
    this.#variant = variant;
    this.#model = model;
  }

  /** Runs a sample by itself: every output has as many rows as the inputs. */
  async alone(sample: Sample): Promise<Alone> {
    const rows = rowsOf(sample.inputs);
    if (rows === undefined) throw unsupported(this.#variant, `the inputs of sample ${sample.name} do not have one number of rows`);
    const outputs = await this.#model.run(sample.inputs);
    const problem = rowProblem(outputs, rows);
    if (problem !== undefined) throw unsupported(this.#variant, `${problem}, on sample ${sample.name}`);
    return { ...sample, rows, outputs };
  }

  /** Values a sample does not have may give other numbers of rows, as with detections. A model may reject them; then they show nothing. */
  async rowsOfAltered({ name, inputs, rows }: Alone): Promise<void> {
    for (const { what, alter } of WIDELY) {
      const altered = alter(inputs);
      const changed = Object.keys(inputs).filter((input) => differ({ inputs: mixed(inputs, altered, [input]) }, { inputs }));
      if (changed.length === 0) continue;
      const runs = async (names: readonly string[]): Promise<boolean> => {
        const outputs = await this.#model.run(mixed(inputs, altered, names)).catch(() => undefined);
        const problem = outputs === undefined ? undefined : rowProblem(outputs, rows);
        if (problem !== undefined) throw unsupported(this.#variant, `${problem}, on sample ${name} with its ${what}`);
        return outputs !== undefined;
      };
      // A token out of the vocabulary must not hide what a length beside it does.
      if ((await runs(changed)) || changed.length === 1) continue;
      for (const input of changed.slice(0, MOST_APART)) await runs([input]);
    }
  }

  /** Pairs of different samples that can be stacked; where the samples offer none, a sample and its altered self. */
  async pairs(samples: readonly Alone[]): Promise<readonly (readonly [Alone, Alone])[]> {
    const pairs: (readonly [Alone, Alone])[] = [];
    for (const [index, one] of samples.entries()) {
      const other = samples
        .slice(index + 1)
        .find((candidate) => batchKey(candidate.inputs) === batchKey(one.inputs) && differ(one, candidate));
      const partner = other ?? (await this.#altered(one));
      if (partner !== undefined) pairs.push([one, partner]);
    }
    if (pairs.length > 0) return pairs;
    throw unsupported(this.#variant, 'it takes two different golden samples of the same shapes to show that requests may share a run');
  }

  /** The rows of both are what each gives by itself, in either order, and with one of them twice. */
  async together([one, other]: readonly [Alone, Alone]): Promise<void> {
    for (const batch of [
      [one, other],
      [other, one, other],
    ]) {
      const names = batch.map(({ name }) => name).join(', ');
      const rows = batch.map((sample) => sample.rows);
      const total = rows.reduce((sum, count) => sum + count, 0);
      const outputs = await this.#model.run(stack(batch.map(({ inputs }) => inputs))).catch((cause: unknown) => {
        throw unsupported(this.#variant, `it fails on a batch of ${total} rows (samples ${names}): ${messageOf(cause)}`, cause);
      });
      const problem = rowProblem(outputs, total);
      if (problem !== undefined) throw unsupported(this.#variant, `${problem}, in a batch of the samples ${names}`);
      for (const [index, part] of unstack(outputs, rows).entries()) {
        const sample = batch[index];
        const comparison = sample === undefined ? undefined : compareOutputs(sample.outputs, part, sample.tolerance);
        if (comparison?.agrees !== false) continue;
        const reason = `rows influence one another: in a batch of the samples ${names}, ${sample?.name} gives other values than by itself`;
        throw unsupported(this.#variant, `${reason}: ${comparison.reason ?? ''}`);
      }
    }
  }

  async #altered(sample: Alone): Promise<Alone | undefined> {
    for (const { what, alter } of SLIGHTLY) {
      const inputs = alter(sample.inputs);
      if (!differ(sample, { inputs })) continue;
      const outputs = await this.#model.run(inputs).catch(() => undefined);
      if (outputs !== undefined) return this.alone({ ...sample, name: `${sample.name} with its ${what}`, inputs });
    }
    return undefined;
  }
}

interface Alteration {
  readonly what: string;
  readonly alter: (inputs: NamedTensors) => NamedTensors;
}

/** Values from the domain of the sample's own, so that a model that takes the sample most likely takes these. */
const SLIGHTLY: readonly Alteration[] = [
  { what: 'elements reversed', alter: reversed },
  { what: 'values changed', alter: oneLess },
];

/** Values that a model with as many rows as it finds things finds other numbers of things in. */
const WIDELY: readonly Alteration[] = [
  { what: 'elements reversed', alter: reversed },
  { what: 'floating-point values all 0', alter: zeros },
  { what: 'floating-point values negated', alter: negated },
  { what: 'floating-point values times 100', alter: (inputs) => scaled(inputs, 100) },
  { what: 'integers, booleans and strings all 0, false or empty', alter: codesCleared },
  { what: 'integers, booleans and strings all alike', alter: codesAlike },
  { what: 'integers and strings doubled and booleans inverted', alter: codesDoubled },
  { what: 'integers one less, booleans inverted and strings shorter', alter: codesOneLess },
];

function differ(one: Pick<Sample, 'inputs'>, other: Pick<Sample, 'inputs'>): boolean {
  return Object.entries(one.inputs).some(([name, { data }]) => Buffer.compare(data, other.inputs[name]?.data ?? new Uint8Array()) !== 0);
}

function unsupported(variant: string, reason: string, cause?: unknown): SkerryError {
  return new SkerryError('BATCHING_UNSUPPORTED', `variant ${variant}: ${reason}`, cause === undefined ? {} : { cause });
}
