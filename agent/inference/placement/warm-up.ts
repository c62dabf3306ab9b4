import { open } from 'node:fs/promises';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Millis } from '#shared/kernel/time.js';
import { encodeBytesElements } from '#shared/tensor/bytes-elements.js';
import { checkTensors } from '#shared/tensor/check.js';
import { type Datatype, elementSize } from '#shared/tensor/datatype.js';
import { rowsOf, stack, unstack } from '#shared/tensor/rows.js';
import type { NamedTensors, Tensor, TensorSpec } from '#shared/tensor/tensor.js';
import { reshaped } from '../checks/reshape.js';
import type { ServableSpec, WarmUpRequest } from '../contract.js';
import { readGoldenSample } from './golden.js';
import type { Instance } from '../instances/instance.js';

/** Most bytes of one run, and most rows: beyond them the first request pays for what a first run prepares. */
const MOST_BYTES = 64 * 1024 * 1024;
const MOST_ROWS = 4096;
const MOST_SIZES = 16;

/**
 * Runs an unsigned version once, so that the first request need not wait for what the runtime makes in a first run; where the sizes of all
 * inputs are known. A model that refuses made-up values is no worse for it. Rejects when the instance ended in it.
 */
export async function warmUp(instance: Instance, spec: ServableSpec): Promise<void> {
  const inputs = madeUpInputs(spec.inModel?.inputs ?? spec.inputs, spec.maxRows !== undefined);
  if (inputs === undefined || spec.warmUp !== undefined) return;
  try {
    await instance.run(inputs, undefined, true);
  } catch (cause) {
    if (!instance.alive) throw asSkerryError(cause);
  }
}

/**
 * Runs what is left of warming up once a version is placed: the requests given with it, or else its first golden sample (made-up values
 * where it has none) in every size of batch that its requests will have. Rejects with `INFERENCE_WARM_UP_FAILED`; only made-up values
 * may be refused.
 */
export async function warmUpSizes(instance: Instance, spec: ServableSpec, limit: Millis): Promise<void> {
  if (spec.warmUp !== undefined) {
    for (const request of spec.warmUp) await runGiven(instance, spec, request, limit);
    return;
  }
  const sizes = batchSizes(spec);
  if (sizes.length === 0) return;
  const [sample] = spec.goldenSamples;
  const golden = sample === undefined ? undefined : (await readGoldenSample(spec, sample)).inputs;
  const row = firstRow(golden ?? madeUpInputs(spec.inModel?.inputs ?? spec.inputs, true));
  if (row === undefined) return;
  for (const size of sizes.filter((rows) => rows * bytesOf(row) <= MOST_BYTES)) {
    try {
      await instance.run(stack(Array.from({ length: size }, () => row)), undefined, true, limit);
    } catch (cause) {
      if (golden !== undefined || !instance.alive) throw failed(spec, `with ${size} rows`, cause);
      return;
    }
  }
}

/** Numbers of rows that runs of a version with batches will have, beside 1: the preferred ones and the largest. Pure. */
export function batchSizes({ batching }: Pick<ServableSpec, 'batching'>): readonly number[] {
  if (batching === undefined) return [];
  const sizes = new Set([...(batching.preferredSizes ?? []), batching.maxBatchSize]);
  return [...sizes]
    .filter((size) => size > 1 && size <= MOST_ROWS)
    .sort((a, b) => a - b)
    .slice(-MOST_SIZES);
}

async function runGiven(instance: Instance, spec: ServableSpec, request: WarmUpRequest, limit: Millis): Promise<void> {
  try {
    const row = Object.fromEntries(
      await Promise.all(Object.entries(request.inputs).map(async ([name, given]) => [name, await tensorOf(given)] as const)),
    );
    const { rows } = request;
    const inputs = rows === undefined ? row : stack(Array.from({ length: rows }, () => row));
    if (bytesOf(inputs) > MOST_BYTES)
      throw new SkerryError('INPUT_TOO_LARGE', `it has ${bytesOf(inputs)} bytes, at most ${MOST_BYTES} are run`);
    checkTensors(spec.inputs, inputs);
    const fed = spec.inModel === undefined ? inputs : reshaped(spec.inputs, spec.inModel.inputs, inputs);
    for (let run = 0; run < request.count; run++) await instance.run(fed, undefined, false, limit);
  } catch (cause) {
    throw failed(spec, `with the request ${JSON.stringify(request.name)}`, cause);
  }
}

async function tensorOf({ datatype, shape, fill }: WarmUpRequest['inputs'][string]): Promise<Tensor> {
  const count = shape.reduce((product, size) => product * size, 1);
  const bytes = count * (elementSize(datatype) ?? 4);
  if (bytes > MOST_BYTES) throw new SkerryError('INPUT_TOO_LARGE', `a tensor of ${bytes} bytes, at most ${MOST_BYTES} are run`);
  if (typeof fill === 'object') return { datatype, shape, data: await readBounded(fill.file) };
  if (datatype === 'BYTES') return { datatype, shape, data: encodeBytesElements(Array.from({ length: count }, () => '')) };
  return { datatype, shape, data: fill === 'zero' ? new Uint8Array(bytes) : randomBytes(datatype, bytes) };
}

/** Numbers from 0 to 1 with a fixed seed, and 0 or 1 where they are whole: what is larger may be no valid index. */
function randomBytes(datatype: Datatype, bytes: number): Uint8Array {
  const data = new Uint8Array(bytes);
  const view = new DataView(data.buffer);
  const size = elementSize(datatype) ?? 1;
  let state = 0x9e3779b9;
  for (let at = 0; at < bytes; at += size) {
    // Xorshift (Marsaglia, 2003).
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const value = (state >>> 0) / 2 ** 32;
    if (datatype === 'FP32') view.setFloat32(at, value, true);
    else if (datatype === 'FP64') view.setFloat64(at, value, true);
    // 0.5 to 1, of the exponent below 1: the bits of a half and of a brain float.
    else if (datatype === 'FP16') view.setUint16(at, 0x3800 | Math.floor(value * 1024), true);
    else if (datatype === 'BF16') view.setUint16(at, 0x3f00 | Math.floor(value * 128), true);
    else data[at] = value < 0.5 ? 0 : 1;
  }
  return data;
}

async function readBounded(file: string): Promise<Uint8Array> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    if (size > MOST_BYTES) throw new SkerryError('INPUT_TOO_LARGE', `${file} has ${size} bytes, at most ${MOST_BYTES} are read`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

function firstRow(inputs: NamedTensors | undefined): NamedTensors | undefined {
  const rows = inputs === undefined ? undefined : rowsOf(inputs);
  if (inputs === undefined || rows === undefined || rows === 0) return undefined;
  return unstack(
    inputs,
    Array.from({ length: rows }, () => 1),
  )[0];
}

function bytesOf(tensors: NamedTensors): number {
  return Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);
}

function failed({ model, version }: ServableSpec, how: string, cause: unknown): SkerryError {
  const reason = asSkerryError(cause, 'IO_FAILED');
  // What ended the instance says more of the version.
  if (reason.code === 'INFERENCE_CRASHED' || reason.code === 'INFERENCE_STUCK' || reason.code === 'INFERENCE_INSTANCE_DIED') return reason;
  return new SkerryError('INFERENCE_WARM_UP_FAILED', `warming ${model}@${version} up ${how} failed: ${reason.message}`, { cause: reason });
}

/** One row where the first dimension is that of the batch; undefined where another size varies, or it would be much. */
export function madeUpInputs(inputs: readonly TensorSpec[], batched: boolean): NamedTensors | undefined {
  const shaped = inputs.map((spec) => ({
    ...spec,
    shape: spec.shape.map((size, axis) => (batched && axis === 0 && size === -1 ? 1 : size)),
  }));
  const bytes = shaped.map(({ datatype, shape }) => shape.reduce((product, size) => product * size, elementSize(datatype) ?? 4));
  const known = shaped.every(({ shape, anyShape }) => anyShape !== true && shape.every((size) => size > 0));
  if (!known || shaped.length === 0 || bytes.reduce((sum, size) => sum + size, 0) > MOST_BYTES) return undefined;
  return Object.fromEntries(
    shaped.map(({ name, datatype, shape }, index) => [name, { datatype, shape, data: filled(datatype, bytes[index] ?? 0) }]),
  );
}

/** Zeros, and ones where numbers are whole: dividing by zero would end the process. Strings are empty. */
function filled(datatype: Datatype, bytes: number): Uint8Array {
  const data = new Uint8Array(bytes);
  const size = elementSize(datatype);
  if (size === undefined || !/INT/.test(datatype)) return data;
  for (let at = 0; at < bytes; at += size) data[at] = 1;
  return data;
}
