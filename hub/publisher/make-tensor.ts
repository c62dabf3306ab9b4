import { joinBytesElements } from '#shared/tensor/bytes-elements.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { floatForm } from '#shared/tensor/float-form.js';
import { fromJson } from '#shared/tensor/json.js';
import { elementCount } from '#shared/tensor/shape.js';
import type { Tensor } from '#shared/tensor/tensor.js';

/** A repeatable source of numbers in [0, 1) (mulberry32, by T. Ettinger). Good enough to fill tensors with. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A tensor whose elements are given as numbers. Booleans are true but for 0, text elements become decimals. */
export function tensorOfNumbers(datatype: Datatype, shape: readonly number[], valueAt: (index: number) => number, what: string): Tensor {
  const count = elementCount(shape, what);
  const values = Array.from({ length: count }, (_, index) => valueAt(index));
  if (datatype === 'BOOL') return { datatype, shape, data: Uint8Array.from(values, (value) => (value === 0 ? 0 : 1)) };
  if (datatype === 'BYTES') {
    return { datatype, shape, data: joinBytesElements(values.map((value) => new TextEncoder().encode(String(value)))) };
  }
  return fromJson(datatype, shape, values, what);
}

/**
 * A tensor with values most models accept: FP in [-1, 1), integers 0 or 1 (often indices or flags), UINT8 over its whole
 * range (often pixels), BOOL true or false, text "0" or "1".
 */
export function generatedTensor(datatype: Datatype, shape: readonly number[], random: () => number, what: string): Tensor {
  const floating = floatForm(datatype) !== undefined;
  const valueAt = (): number => {
    if (floating) return random() * 2 - 1;
    return Math.floor(random() * (datatype === 'UINT8' ? 256 : 2));
  };
  return tensorOfNumbers(datatype, shape, valueAt, what);
}
