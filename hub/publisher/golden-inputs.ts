import { readFile, stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import type { GoldenTensors } from '#shared/bundle/golden.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { checkTensors } from '#shared/tensor/check.js';
import { isNpy } from '#shared/tensor/npy-header.js';
import { readNpy } from '#shared/tensor/npy.js';
import { isZip, readNpz } from '#shared/tensor/npz.js';
import { readSafetensors } from '#shared/tensor/safetensors.js';
import { namedTensors, type NamedTensors, type Tensor } from '#shared/tensor/tensor.js';
import { readJsonCase } from './golden-json.js';
import { specsOf } from './inspect.js';
import { generatedTensor, seededRandom } from './make-tensor.js';
import type { DeclaredTensor } from './model-values.js';

/** Inputs to record, with the outputs expected where the publisher gave them. */
export interface GoldenCase extends GoldenTensors {
  readonly name: string;
}

const CODE = 'GOLDEN_INPUTS_INVALID';
const INPUTS = 'inputs/';
const OUTPUTS = 'outputs/';

/**
 * Reads golden inputs from a file: safetensors or npz (names as the model's, or under `inputs/` and `outputs/`), npy (for a model of
 * one input), or JSON (`golden-json.ts`). Checked against what the model declares, outputs but for their shapes, which models
 * declare wrongly: `GOLDEN_INPUTS_INVALID`.
 */
export async function readGoldenCase(
  path: string,
  inputs: readonly DeclaredTensor[],
  outputs: readonly DeclaredTensor[],
): Promise<GoldenCase> {
  try {
    const bytes = await readBounded(path);
    const fallback = basename(path, extname(path));
    const isJson = extname(path) === '.json' || bytes[0] === 0x7b;
    const { name, ...found } = isJson
      ? readJsonCase(bytes, path, specsOf(inputs), specsOf(outputs))
      : { name: fallback, ...sorted(readTensors(bytes, path, inputs), inputs, outputs) };
    checkTensors(specsOf(inputs), found.inputs);
    if (Object.keys(found.outputs).length > 0) checkOutputs(outputs, found.outputs);
    return { ...found, name: sampleName(name ?? fallback) };
  } catch (cause) {
    if (!(cause instanceof SkerryError) || cause.code === CODE || cause.code === 'IO_FAILED') throw cause;
    throw new SkerryError(CODE, `golden inputs ${path}: ${cause.message}`, { cause });
  }
}

/** Checks names and element types of outputs. */
export function checkOutputs(declared: readonly DeclaredTensor[], outputs: NamedTensors): void {
  const specs = specsOf(declared).map((spec) => ({ ...spec, shape: [], anyShape: true as const }));
  checkTensors(specs, outputs, 'output');
}

async function readBounded(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size <= LIMITS.goldenSampleBytes) return await readFile(path);
    throw new SkerryError(CODE, `${path} has ${size} bytes, at most ${LIMITS.goldenSampleBytes} are accepted`);
  } catch (cause) {
    throw asSkerryError(cause, 'IO_FAILED');
  }
}

function readTensors(bytes: Uint8Array, path: string, inputs: readonly DeclaredTensor[]): NamedTensors {
  if (isZip(bytes)) return readNpz(bytes, path);
  if (!isNpy(bytes)) return readSafetensors(bytes, path).tensors;
  const [only, ...others] = inputs;
  if (only !== undefined && others.length === 0) return namedTensors([[only.spec.name, readNpy(bytes, path)]]);
  const names = inputs.map(({ spec }) => spec.name).join(', ');
  throw new SkerryError(
    CODE,
    `${path} holds one array and the model has ${inputs.length} inputs (${names}); save them by name with numpy.savez in an npz file`,
  );
}

/**
 * Tells inputs from outputs. Names may be the model's own, whatever they begin with, or stand under `inputs/` and `outputs/`: where
 * all of them are the model's own they are taken as such, and else as prefixed where all have a prefix.
 */
function sorted(tensors: NamedTensors, inputs: readonly DeclaredTensor[], outputs: readonly DeclaredTensor[]): GoldenTensors {
  const entries = Object.entries(tensors);
  const ofInputs = new Set(inputs.map(({ spec }) => spec.name));
  const ofOutputs = new Set(outputs.map(({ spec }) => spec.name));
  if (entries.every(([name]) => ofInputs.has(name) || ofOutputs.has(name))) {
    return {
      inputs: namedTensors(entries.filter(([name]) => ofInputs.has(name))),
      outputs: namedTensors(entries.filter(([name]) => !ofInputs.has(name))),
    };
  }
  if (!entries.every(([name]) => name.startsWith(INPUTS) || name.startsWith(OUTPUTS)))
    return { inputs: tensors, outputs: namedTensors([]) };
  const under = (prefix: string): NamedTensors =>
    namedTensors(entries.filter(([name]) => name.startsWith(prefix)).map(([name, tensor]) => [name.slice(prefix.length), tensor]));
  return { inputs: under(INPUTS), outputs: under(OUTPUTS) };
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
    return [spec.name, madeUp(spec.datatype, shape, random, `input ${JSON.stringify(spec.name)}`)];
  });
  return { name: `generated-${number}`, inputs: Object.fromEntries(tensors), outputs: {} };
}

/** What cannot be made up, such as a tensor beyond any size, is the publisher's to give: `GOLDEN_INPUTS_NEEDED`. */
function madeUp(...[datatype, shape, random, what]: Parameters<typeof generatedTensor>): Tensor {
  try {
    return generatedTensor(datatype, shape, random, what);
  } catch (cause) {
    if (!(cause instanceof SkerryError)) throw cause;
    throw new SkerryError('GOLDEN_INPUTS_NEEDED', `no inputs can be made up: ${cause.message}`, { cause });
  }
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
