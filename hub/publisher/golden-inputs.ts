import { readFile, stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { z } from 'zod';
import { decodeGolden, type GoldenTensors } from '#shared/bundle/golden.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { checkTensors } from '#shared/tensor/check.js';
import { fromJson } from '#shared/tensor/json.js';
import { readSafetensors } from '#shared/tensor/safetensors.js';
import type { NamedTensors, Tensor, TensorSpec } from '#shared/tensor/tensor.js';
import { specsOf } from './inspect.js';
import { generatedTensor, seededRandom, tensorOfNumbers } from './make-tensor.js';
import type { DeclaredTensor } from './runtime.js';

/** Inputs to record, with the outputs expected where the publisher gave them. */
export interface GoldenCase extends GoldenTensors {
  readonly name: string;
}

const CODE = 'GOLDEN_INPUTS_INVALID';
const JSON_BYTES = LIMITS.goldenSampleBytes;

const jsonTensorSchema = z
  .strictObject({
    shape: z.array(z.int().min(0)).max(LIMITS.tensorRank).optional(),
    /** Flat or nested, as in an Open Inference Protocol request. */
    data: z.array(z.unknown()).optional(),
    /** Every element this number. */
    fill: z.number().optional(),
    /** Repeatable random numbers from the first to below the second. */
    random: z.tuple([z.number(), z.number()]).optional(),
  })
  .refine((tensor) => [tensor.data, tensor.fill, tensor.random].filter((source) => source !== undefined).length === 1, {
    message: 'needs exactly one of "data", "fill" and "random"',
  });
type JsonTensor = z.infer<typeof jsonTensorSchema>;

const jsonCaseSchema = z.strictObject({
  name: z.string().optional(),
  inputs: z.record(z.string(), jsonTensorSchema),
  outputs: z.record(z.string(), jsonTensorSchema).optional(),
});

/**
 * Reads golden inputs from a file: safetensors (names as the model's, or under `inputs/` and `outputs/`) or JSON
 * (`{"inputs": {"x": {"shape": [1, 4], "data": [...] | "fill": 0 | "random": [-1, 1]}}, "outputs": ...}`).
 * Checked against what the model declares: `GOLDEN_INPUTS_INVALID`.
 */
export async function readGoldenCase(
  path: string,
  inputs: readonly DeclaredTensor[],
  outputs: readonly DeclaredTensor[],
): Promise<GoldenCase> {
  try {
    const bytes = await readBounded(path);
    const isJson = extname(path) === '.json' || bytes[0] === 0x7b;
    const found = isJson ? readJsonCase(bytes, path, specsOf(inputs), specsOf(outputs)) : readSafetensorsCase(bytes, path);
    checkTensors(specsOf(inputs), found.inputs);
    if (Object.keys(found.outputs).length > 0) checkTensors(specsOf(outputs), found.outputs, 'output');
    return { ...found, name: sampleName(found.name) };
  } catch (cause) {
    if (!(cause instanceof SkerryError) || cause.code === CODE || cause.code === 'IO_FAILED') throw cause;
    throw new SkerryError(CODE, `golden inputs ${path}: ${cause.message}`, { cause });
  }
}

async function readBounded(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > JSON_BYTES) throw new SkerryError(CODE, `${path} has ${size} bytes, at most ${JSON_BYTES} are accepted`);
    return await readFile(path);
  } catch (cause) {
    throw asSkerryError(cause, 'IO_FAILED');
  }
}

function readSafetensorsCase(bytes: Uint8Array, path: string): GoldenCase {
  const name = basename(path, extname(path));
  const plain = readSafetensors(bytes, path).tensors;
  const prefixed = Object.keys(plain).every((key) => key.startsWith('inputs/') || key.startsWith('outputs/'));
  return prefixed ? { name, ...decodeGolden(bytes, path) } : { name, inputs: plain, outputs: {} };
}

function readJsonCase(bytes: Uint8Array, path: string, inputs: readonly TensorSpec[], outputs: readonly TensorSpec[]): GoldenCase {
  const json = parseJson(jsonCaseSchema, bytes, { what: path, maxBytes: JSON_BYTES, code: CODE });
  return {
    name: json.name ?? basename(path, extname(path)),
    inputs: jsonTensors(json.inputs, inputs, 'input'),
    outputs: jsonTensors(json.outputs ?? {}, outputs, 'output'),
  };
}

function jsonTensors(given: Readonly<Record<string, JsonTensor>>, specs: readonly TensorSpec[], kind: string): NamedTensors {
  return Object.fromEntries(
    Object.entries(given).map(([name, json], index): [string, Tensor] => {
      const spec = specs.find((candidate) => candidate.name === name);
      if (spec === undefined) {
        throw new SkerryError(
          'TENSOR_UNKNOWN',
          `the model has no ${kind} ${JSON.stringify(name)}, it has ${specs.map((s) => s.name).join(', ')}`,
        );
      }
      return [name, jsonTensor(json, spec, index, `${kind} ${JSON.stringify(name)}`)];
    }),
  );
}

function jsonTensor(json: JsonTensor, spec: TensorSpec, seed: number, what: string): Tensor {
  const shape = json.shape ?? (spec.shape.includes(-1) ? undefined : spec.shape);
  if (shape === undefined) throw new SkerryError('TENSOR_SHAPE', `${what} needs a "shape", the model declares [${spec.shape.join(',')}]`);
  const { data, fill, random } = json;
  if (data !== undefined && spec.datatype !== 'FP16') return fromJson(spec.datatype, shape, data, what);
  if (data !== undefined) {
    // Read as FP32 first: the same narrowing, then rounded to the nearest half.
    const exact = new Float32Array(fromJson('FP32', shape, data, what).data.slice().buffer);
    return tensorOfNumbers('FP16', shape, (index) => exact[index] ?? 0, what);
  }
  if (random === undefined) return tensorOfNumbers(spec.datatype, shape, () => fill ?? 0, what);
  const next = seededRandom(seed + 1);
  const whole = !spec.datatype.startsWith('FP');
  const draw = (): number => random[0] + next() * (random[1] - random[0]);
  return tensorOfNumbers(spec.datatype, shape, () => (whole ? Math.floor(draw()) : draw()), what);
}

/** Sizes for dimensions that vary, by the dimension's own name or as `<tensor>.<axis>`. */
export type DimensionSizes = ReadonlyMap<string, number>;

/** Inputs made up from what the model declares; the same number gives the same inputs. Dimensions that vary get size 1 unless `sizes` says otherwise. */
export function generateCase(number: number, inputs: readonly DeclaredTensor[], sizes: DimensionSizes): GoldenCase {
  const random = seededRandom(number);
  const tensors = inputs.map(({ spec, dimensions }): [string, Tensor] => {
    const shape = spec.shape.map((size, axis) => {
      if (size !== -1) return size;
      return sizes.get(`${spec.name}.${axis}`) ?? sizes.get(String(dimensions[axis])) ?? 1;
    });
    return [spec.name, generatedTensor(spec.datatype, shape, random, `input ${JSON.stringify(spec.name)}`)];
  });
  return { name: `generated-${number}`, inputs: Object.fromEntries(tensors), outputs: {} };
}

/** Names in `sizes` that no input has; they are mistakes. */
export function unusedSizes(inputs: readonly DeclaredTensor[], sizes: DimensionSizes): readonly string[] {
  const known = new Set(
    inputs.flatMap(({ spec, dimensions }) =>
      dimensions.flatMap((size, axis) => (typeof size === 'number' ? [] : [`${spec.name}.${axis}`, ...(size === '' ? [] : [size])])),
    ),
  );
  return [...sizes.keys()].filter((name) => !known.has(name));
}

/** A file name as a golden sample's name. */
function sampleName(text: string): string {
  const name = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 64);
  return name === '' ? 'sample' : name;
}
