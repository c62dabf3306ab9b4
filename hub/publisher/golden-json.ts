import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import { narrow, parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { describeType } from '#shared/tensor/check.js';
import { floatForm } from '#shared/tensor/float-form.js';
import { fromJson } from '#shared/tensor/json.js';
import { namedTensors, type NamedTensors, type Tensor, type TensorSpec } from '#shared/tensor/tensor.js';
import { seededRandom, tensorOfNumbers } from './make-tensor.js';

const CODE = 'GOLDEN_INPUTS_INVALID';

const tensorSchema = z
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
type JsonTensor = z.infer<typeof tensorSchema>;

/** Members are read one by one: z.record drops one called `__proto__`, which a tensor may be. */
const objectSchema = z.custom<Readonly<Record<string, unknown>>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'must be an object with tensors by name',
);

const caseSchema = z.strictObject({ name: z.string().optional(), inputs: objectSchema, outputs: objectSchema.optional() });

/** What a JSON file of golden inputs holds. */
interface JsonCase {
  readonly name: string | undefined;
  readonly inputs: NamedTensors;
  readonly outputs: NamedTensors;
}

/** Reads golden inputs in JSON: `{"inputs": {"x": {"shape": [1, 4], "data": [...] | "fill": 0 | "random": [-1, 1]}}, "outputs": ...}`. */
export function readJsonCase(bytes: Uint8Array, path: string, inputs: readonly TensorSpec[], outputs: readonly TensorSpec[]): JsonCase {
  const json = parseJson(caseSchema, bytes, { what: path, maxBytes: LIMITS.goldenSampleBytes, code: CODE });
  return {
    name: json.name,
    inputs: jsonTensors(json.inputs, inputs, 'input', path),
    outputs: jsonTensors(json.outputs ?? {}, outputs, 'output', path),
  };
}

function jsonTensors(
  given: Readonly<Record<string, unknown>>,
  specs: readonly TensorSpec[],
  kind: 'input' | 'output',
  path: string,
): NamedTensors {
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  return namedTensors(
    Object.entries(given).map(([name, value], index): [string, Tensor] => {
      const what = `${kind} ${JSON.stringify(name)}`;
      const spec = byName.get(name);
      if (spec === undefined) {
        throw new SkerryError('TENSOR_UNKNOWN', `the model has no ${what}, it has ${specs.map((known) => known.name).join(', ')}`);
      }
      return [name, jsonTensor(narrow(tensorSchema, value, `${what} in ${path}`, CODE), spec, index, what)];
    }),
  );
}

function jsonTensor(json: JsonTensor, spec: TensorSpec, seed: number, what: string): Tensor {
  const shape = json.shape ?? (spec.anyShape === true || spec.shape.includes(-1) ? undefined : spec.shape);
  if (shape === undefined) throw new SkerryError('TENSOR_SHAPE', `${what} needs a "shape", the model declares ${describeType(spec)}`);
  const { data, fill, random } = json;
  if (data !== undefined) return fromJson(spec.datatype, shape, data, what);
  if (random === undefined) return tensorOfNumbers(spec.datatype, shape, () => fill ?? 0, what);
  const next = seededRandom(seed + 1);
  const whole = floatForm(spec.datatype) === undefined;
  const draw = (): number => random[0] + next() * (random[1] - random[0]);
  return tensorOfNumbers(spec.datatype, shape, () => (whole ? Math.floor(draw()) : draw()), what);
}
