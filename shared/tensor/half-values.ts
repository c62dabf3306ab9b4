import { bytesOf, elementsOf, isFixedSize } from './elements.js';
import { bfloat16ToNumber, halfToNumber, numberToBfloat16, numberToHalf } from './half.js';
import { fromJson } from './json.js';
import type { Datatype } from './datatype.js';
import type { Tensor } from './tensor.js';

const HALVES: ReadonlyMap<Datatype, { readonly read: (bits: number) => number; readonly write: (value: number) => number }> = new Map([
  ['FP16', { read: halfToNumber, write: numberToHalf }],
  ['BF16', { read: bfloat16ToNumber, write: numberToBfloat16 }],
]);

/** A tensor from JSON values as people write them: as `fromJson`, and FP16 and BF16 from numbers, each rounded to the nearest. */
export function fromValues(datatype: Datatype, shape: readonly number[], data: unknown, what: string): Tensor {
  const half = HALVES.get(datatype);
  if (half === undefined) return fromJson(datatype, shape, data, what);
  const { data: bytes } = fromJson('FP32', shape, data, what);
  const exact = new Float32Array(bytes.slice().buffer);
  return { datatype, shape, data: bytesOf(Uint16Array.from(exact, half.write)) };
}

/** FP16 and BF16 as FP32, which holds every value of theirs; other tensors as they are. */
export function withoutHalves(tensor: Tensor): Tensor {
  const half = HALVES.get(tensor.datatype);
  if (half === undefined || !isFixedSize(tensor)) return tensor;
  const values = Float32Array.from(elementsOf(tensor), (bits: number | bigint) => half.read(Number(bits)));
  return { datatype: 'FP32', shape: tensor.shape, data: bytesOf(values) };
}
