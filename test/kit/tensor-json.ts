import { atOnce } from '#shared/kernel/turns.js';
import { checkJson, jsonPieces } from '#shared/tensor/json-write.js';
import type { Tensor } from '#shared/tensor/tensor.js';

/** The elements of a tensor as they stand in a JSON answer. */
export function toJson(tensor: Tensor, what = 'x'): readonly unknown[] {
  atOnce(checkJson(tensor, what));
  return JSON.parse([...jsonPieces(tensor, 'strings')].join('')) as readonly unknown[];
}
