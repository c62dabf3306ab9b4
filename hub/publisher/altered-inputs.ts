import { joinBytesElements, splitBytesElements } from '#shared/tensor/bytes-elements.js';
import { bytesOf, type ElementArray, elementsOf, isFixedSize, newElements } from '#shared/tensor/elements.js';
import { floatForm } from '#shared/tensor/float-form.js';
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

/** Integers and booleans all 0, strings all empty; floating-point inputs as they are. */
export function codesCleared(inputs: NamedTensors): NamedTensors {
  return mapped(inputs, (tensor) =>
    withCodes(
      tensor,
      (elements) => elements.fill(0n),
      () => EMPTY,
    ),
  );
}

/** Integers and booleans all as the largest of theirs, strings all as the first. */
export function codesAlike(inputs: NamedTensors): NamedTensors {
  return mapped(inputs, (tensor) => {
    let first: Uint8Array | undefined;
    return withCodes(
      tensor,
      (elements) => elements.fill(largestOf(elements)),
      (element) => (first ??= element),
    );
  });
}

/** Integers twice as large, booleans inverted, strings twice behind one another. */
export function codesDoubled(inputs: NamedTensors): NamedTensors {
  const change =
    (tensor: Tensor) =>
    (value: bigint): bigint =>
      tensor.datatype === 'BOOL' ? 1n - value : value * 2n;
  return mapped(inputs, (tensor) =>
    withCodes(
      tensor,
      (elements) => elements.map(change(tensor)),
      (element) => Buffer.concat([element, element]),
    ),
  );
}

/** Integers one nearer to 0 and 0 made 1, booleans inverted, strings without their last character. */
export function codesOneLess(inputs: NamedTensors): NamedTensors {
  const nearer = (value: bigint): bigint => (value === 0n ? 1n : value > 0n ? value - 1n : value + 1n);
  return mapped(inputs, (tensor) =>
    withCodes(
      tensor,
      (elements) => elements.map(nearer),
      (element) => withoutLast(element),
    ),
  );
}

/** Some inputs of one, the rest of another. */
export function mixed(inputs: NamedTensors, other: NamedTensors, names: readonly string[]): NamedTensors {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, tensor]) => [name, names.includes(name) ? (other[name] ?? tensor) : tensor]),
  );
}

const EMPTY = new Uint8Array();

/** What is not floating-point: integers and booleans as whole numbers of any size, which wrap where the datatype ends; strings one by one. */
function withCodes(tensor: Tensor, change: (values: bigint[]) => bigint[], changeString: (element: Uint8Array) => Uint8Array): Tensor {
  if (!isFixedSize(tensor)) {
    const elements = splitBytesElements(tensor.data, elementCount(tensor.shape, 'input'), 'input');
    return { ...tensor, data: joinBytesElements(elements.map(changeString)) };
  }
  if (comparedAs(tensor.datatype) === 'floats') return tensor;
  const elements = elementsOf(tensor);
  const changed = change(Array.from<number | bigint, bigint>(elements, BigInt));
  const fresh = elements.slice();
  if (fresh instanceof BigInt64Array || fresh instanceof BigUint64Array) fresh.set(changed);
  else fresh.set(changed.map(Number));
  return { ...tensor, data: bytesOf(fresh) };
}

function largestOf(values: readonly bigint[]): bigint {
  return values.reduce((largest, value) => (value > largest ? value : largest), values[0] ?? 0n);
}

function withoutLast(element: Uint8Array): Uint8Array {
  return Buffer.from(Array.from(Buffer.from(element).toString()).slice(0, -1).join(''));
}

function mapped(inputs: NamedTensors, change: (tensor: Tensor) => Tensor): NamedTensors {
  return Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, change(tensor)]));
}

function withFloats(tensor: Tensor, change: (value: number, index: number) => number): Tensor {
  const form = floatForm(tensor.datatype);
  if (form === undefined || !isFixedSize(tensor)) return tensor;
  const elements = elementsOf(tensor);
  const fresh = newElements(tensor.datatype, elements.length);
  if (fresh instanceof BigInt64Array || fresh instanceof BigUint64Array) return tensor;
  fresh.set(Array.from<number | bigint, number>(elements, (element, at) => form.write(change(form.read(Number(element)), at))));
  return { ...tensor, data: bytesOf(fresh) };
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
