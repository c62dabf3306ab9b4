import { joinBytesElements, splitBytesElements } from '#shared/tensor/bytes-elements.js';
import { bytesOf, type ElementArray, elementsOf, isFixedSize } from '#shared/tensor/elements.js';
import { halfToNumber, numberToHalf } from '#shared/tensor/half.js';
import { elementCount } from '#shared/tensor/shape.js';
import type { NamedTensors, Tensor } from '#shared/tensor/tensor.js';
import { comparedAs } from '#shared/tensor/tolerance.js';

// Other inputs of the same shapes, made from those of a sample. All give fresh tensors.

/** The elements of each input in reverse: other values at every place, and none the sample does not have. */
export function reversed(inputs: NamedTensors): NamedTensors {
  return mapped(inputs, (tensor) => {
    if (isFixedSize(tensor)) return { ...tensor, data: bytesOf(elementsOf(tensor).toReversed()) };
    const elements = splitBytesElements(tensor.data, elementCount(tensor.shape, 'input'), 'input');
    return { ...tensor, data: joinBytesElements(elements.toReversed()) };
  });
}

/** Floating-point values halved and a little more, whole numbers one nearer to 0 and 0 made 1: near what the sample has. */
export function oneLess(inputs: NamedTensors): NamedTensors {
  const floats = mapped(inputs, (tensor) => withFloats(tensor, (value, index) => value / 2 + (index % 3) / 4));
  return mapped(floats, (tensor) => {
    if (!isFixedSize(tensor) || comparedAs(tensor.datatype) !== 'integers') return tensor;
    return { ...tensor, data: bytesOf(oneNearer(elementsOf(tensor))) };
  });
}

/** Floating-point inputs all 0; the others as they are. */
export function zeros(inputs: NamedTensors): NamedTensors {
  return mapped(inputs, (tensor) => withFloats(tensor, () => 0));
}

/** Floating-point inputs negated. */
export function negated(inputs: NamedTensors): NamedTensors {
  return mapped(inputs, (tensor) => withFloats(tensor, (value) => -value));
}

/** Floating-point inputs times `factor`. */
export function scaled(inputs: NamedTensors, factor: number): NamedTensors {
  return mapped(inputs, (tensor) => withFloats(tensor, (value) => value * factor));
}

function mapped(inputs: NamedTensors, change: (tensor: Tensor) => Tensor): NamedTensors {
  return Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, change(tensor)]));
}

function withFloats(tensor: Tensor, change: (value: number, index: number) => number): Tensor {
  if (!isFixedSize(tensor)) return tensor;
  const half = tensor.datatype === 'FP16';
  const values = Array.from<number | bigint, number>(elementsOf(tensor), (value, at) =>
    change(half ? halfToNumber(Number(value)) : Number(value), at),
  );
  if (half) return { ...tensor, data: bytesOf(Uint16Array.from(values, numberToHalf)) };
  if (tensor.datatype === 'FP32') return { ...tensor, data: bytesOf(Float32Array.from(values)) };
  return tensor.datatype === 'FP64' ? { ...tensor, data: bytesOf(Float64Array.from(values)) } : tensor;
}

function oneNearer(elements: ElementArray): ElementArray {
  const fresh = elements.slice();
  if (fresh instanceof BigInt64Array || fresh instanceof BigUint64Array) {
    for (const [at, value] of fresh.entries()) fresh[at] = value === 0n ? 1n : value > 0n ? value - 1n : value + 1n;
  } else {
    for (const [at, value] of fresh.entries()) fresh[at] = value === 0 ? 1 : value > 0 ? value - 1 : value + 1;
  }
  return fresh;
}
