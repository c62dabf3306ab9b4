import { SkerryError } from '#shared/kernel/errors.js';
import type { Datatype } from '#shared/tensor/datatype.js';

/** An input as the model's metadata describes it; -1 is a size that varies. */
export interface InputSpec {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
}

export interface GivenInput {
  readonly name: string;
  /** A number, a flat list, or lists within lists. */
  readonly value: unknown;
  /** `--shape`: "1,3". */
  readonly shape: string | undefined;
}

/** One entry of `inputs` of an Open Inference Protocol request. */
export interface OipInput {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: readonly unknown[];
}

/** Gives values their shape: the one said, else that of the nesting where it fits the model, else the model's own. */
export function shapeInput(input: GivenInput, specs: readonly InputSpec[]): OipInput {
  const spec = specs.find((candidate) => candidate.name === input.name);
  if (spec === undefined) {
    throw new SkerryError('CLI_USAGE', `the model has no input ${input.name}; it takes ${specs.map((item) => item.name).join(', ')}`);
  }
  const data = Array.isArray(input.value) ? input.value.flat(Number.POSITIVE_INFINITY) : [input.value];
  const shape = input.shape === undefined ? guessShape(nestingOf(input.value), data.length, spec) : parseShape(input.name, input.shape);
  return { name: spec.name, datatype: spec.datatype, shape, data };
}

function parseShape(name: string, text: string): readonly number[] {
  const sizes = text === '' ? [] : text.split(/[,x]/).map((size) => (/^\d{1,10}$/.test(size.trim()) ? Number(size) : -1));
  if (sizes.includes(-1)) throw new SkerryError('CLI_USAGE', `the shape of ${name} wants sizes such as 1,3, not ${text}`);
  return sizes;
}

function nestingOf(value: unknown): readonly number[] {
  return Array.isArray(value) ? [value.length, ...nestingOf(value[0])] : [];
}

function guessShape(nesting: readonly number[], count: number, spec: InputSpec): readonly number[] {
  if (nesting.length === spec.shape.length) return nesting;
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
