import { SkerryError } from '#shared/kernel/errors.js';
import { encodeBytesElements } from '#shared/tensor/bytes-elements.js';
import { elementsOf, isFixedSize } from '#shared/tensor/elements.js';
import type { Tensor } from '#shared/tensor/tensor.js';

export interface ClassificationOptions {
  /** Classes wanted of each row, the best first. */
  readonly count: number;
  /** Dimension 0 is that of the batch, and each row is classified by itself. */
  readonly batched: boolean;
  /** Name of each class, by index. */
  readonly names: readonly string[] | undefined;
}

const UNCLASSIFIED: ReadonlySet<string> = new Set(['BOOL', 'BYTES', 'FP16', 'BF16']);

/** Longest row: sorting it takes some ten milliseconds. */
const MOST_CLASSES = 32 * 1024;

/**
 * Triton's classification extension: the largest values of a tensor as texts `value:index` or `value:index:name`, the largest first and
 * equal ones by index. It can be interrupted wherever it yields. Errors: `SERVE_REQUEST` for tensors of other than numbers.
 */
export function* classified(tensor: Tensor, name: string, { count, batched, names }: ClassificationOptions): Generator<void, Tensor> {
  const what = `output ${JSON.stringify(name)}`;
  const { datatype, shape } = tensor;
  if (!isFixedSize(tensor) || UNCLASSIFIED.has(datatype)) {
    throw new SkerryError('SERVE_REQUEST', `${what}: elements of type ${datatype} cannot be classified`);
  }
  const elements: ArrayLike<number | bigint> = elementsOf(tensor);
  const rows = batched ? (shape[0] ?? 1) : 1;
  const width = rows === 0 ? 0 : elements.length / rows;
  if (width > MOST_CLASSES) {
    throw new SkerryError('SERVE_REQUEST', `${what} has ${width} classes, at most ${MOST_CLASSES} can be put in order`);
  }
  const kept = Math.min(count, width);
  const write = datatype.startsWith('FP') ? fixedText : String;
  const texts: string[] = [];
  for (let row = 0; row < rows; row++) {
    yield;
    for (const index of best(elements, row * width, width).slice(0, kept)) {
      const label = names?.[index];
      texts.push(`${write(elements[row * width + index] ?? 0)}:${index}${label === undefined ? '' : `:${label}`}`);
    }
  }
  return { datatype: 'BYTES', shape: batched ? [rows, kept] : [kept], data: encodeBytesElements(texts) };
}

/** Indices within a row by falling value; what is no number comes last. */
function best(elements: ArrayLike<number | bigint>, start: number, width: number): readonly number[] {
  const value = (index: number): number | bigint => elements[start + index] ?? 0;
  return Array.from({ length: width }, (_, index) => index).toSorted((a, b) => {
    const [first, second] = [value(a), value(b)];
    if (Number.isNaN(first) || Number.isNaN(second)) return Number(Number.isNaN(first)) - Number(Number.isNaN(second)) || a - b;
    if (first === second) return a - b;
    return first > second ? -1 : 1;
  });
}

/** As C writes `%f`. */
function fixedText(value: number | bigint): string {
  const number = Number(value);
  if (Number.isNaN(number)) return 'nan';
  if (!Number.isFinite(number)) return number > 0 ? 'inf' : '-inf';
  return Math.abs(number) >= 1e21 ? `${BigInt(number)}.000000` : number.toFixed(6);
}
