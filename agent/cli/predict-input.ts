import { SkerryError } from '#shared/kernel/errors.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { fromJson } from '#shared/tensor/json.js';
import type { Tensor, TensorSpec } from '#shared/tensor/tensor.js';

interface GivenInput {
  readonly name: string;
  /** A number, a flat list, or lists within lists; or a tensor from a file. */
  readonly value: unknown;
  /** `--shape`: "1,3". */
  readonly shape: string | undefined;
}

/** JSON text whose long whole numbers are strings, since a JavaScript number has no room for all of their digits. */
export function keepDigits(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g, (token) => (token.startsWith('"') ? token : `"${token}"`));
}

/** Inputs in words; a model may take none. */
export function listInputs(specs: readonly TensorSpec[]): string {
  return specs.length === 0 ? 'no inputs' : specs.map(describeInput).join(', ');
}

/** An input in words: `x (FP32 [-1, 3])`. */
function describeInput({ name, datatype, shape, anyShape }: TensorSpec): string {
  return `${name} (${datatype} ${anyShape === true ? 'of any shape' : `[${shape.join(', ')}]`})`;
}

/**
 * Values as a tensor of the input's datatype. Their shape is the one said, else that of the nesting where it fits the model or the
 * model takes any, else the model's own.
 */
export function valuesAsTensor(input: GivenInput, specs: readonly TensorSpec[]): Tensor {
  const spec = specOf(input.name, specs);
  const flat: readonly unknown[] = Array.isArray(input.value) ? input.value.flat(Number.POSITIVE_INFINITY) : [input.value];
  const data = flat.map((value) => asElement(spec.datatype, value));
  const shape = input.shape === undefined ? guessShape(input.value, data.length, spec) : parseShape(input.name, input.shape);
  return fromJson(spec.datatype, shape, data, `input ${JSON.stringify(spec.name)}`);
}

/** A tensor of a file as the input wants it: in another shape where one is said, and of the input's datatype. */
export function tensorAsInput(name: string, tensor: Tensor, shape: string | undefined, specs: readonly TensorSpec[]): Tensor {
  const { datatype } = specOf(name, specs);
  if (tensor.datatype !== datatype) {
    throw new SkerryError(
      'TENSOR_DATATYPE',
      `the file has ${tensor.datatype} for input ${JSON.stringify(name)}, the model wants ${datatype}`,
    );
  }
  return shape === undefined ? tensor : { ...tensor, shape: parseShape(name, shape) };
}

function specOf(name: string, specs: readonly TensorSpec[]): TensorSpec {
  const spec = specs.find((candidate) => candidate.name === name);
  if (spec !== undefined) return spec;
  throw new SkerryError('CLI_USAGE', `the model has no input ${name}; it takes ${listInputs(specs)}`);
}

/** A long whole number that was kept as text is a number again where its digits do not count. */
export function asElement(datatype: Datatype, value: unknown): unknown {
  const counts = datatype === 'INT64' || datatype === 'UINT64' || datatype === 'BYTES';
  return !counts && typeof value === 'string' && /^-?\d{16,}$/.test(value) ? Number(value) : value;
}

function parseShape(name: string, text: string): readonly number[] {
  const sizes = text === '' ? [] : text.split(/[,x]/).map((size) => (/^\d{1,10}$/.test(size.trim()) ? Number(size) : -1));
  if (sizes.includes(-1)) throw new SkerryError('CLI_USAGE', `the shape of ${name} must be sizes such as 1,3, not ${text}`);
  return sizes;
}

function nestingOf(value: unknown): readonly number[] {
  return Array.isArray(value) ? [value.length, ...nestingOf(value[0])] : [];
}

/** Whether lists within lists are as long as the first ones at each depth. */
function isEven(value: unknown, [size, ...inner]: readonly number[]): boolean {
  if (!Array.isArray(value)) return size === undefined;
  return value.length === size && value.every((entry) => isEven(entry, inner));
}

function guessShape(value: unknown, count: number, spec: TensorSpec): readonly number[] {
  const nesting = nestingOf(value);
  if (!isEven(value, nesting))
    throw new SkerryError('CLI_USAGE', `the nested lists of input ${spec.name} have different lengths or depths`);
  if (spec.anyShape === true || nesting.length === spec.shape.length) return nesting;
  const open = spec.shape.filter((size) => size === -1).length;
  const known = spec.shape.reduce((product, size) => (size === -1 ? product : product * size), 1);
  if (open === 0 && known === count) return spec.shape;
  // A first size that varies is the batch, nearly always; a flat list is then a batch of one where that fits.
  if (open === 1 && known > 0 && count % known === 0) return spec.shape.map((size) => (size === -1 ? count / known : size));
  if (open === 2 && spec.shape[0] === -1 && count % known === 0) {
    return spec.shape.map((size, index) => (index === 0 ? 1 : size === -1 ? count / known : size));
  }
  throw new SkerryError(
    'CLI_USAGE',
    `${count} values do not tell the shape of input ${spec.name} ([${spec.shape.join(', ')}]); say it with --shape ${spec.name}=...`,
  );
}
