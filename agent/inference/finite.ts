import { elementsOf, isFixedSize } from '#shared/tensor/elements.js';
import { floatReader, notFiniteOf, type NotFiniteOutputs } from '#shared/tensor/not-finite.js';
import type { NamedTensors, Tensor } from '#shared/tensor/tensor.js';

/** Elements of one output that are looked at, spread evenly: this runs on every answer, on the event loop. */
const MOST_ELEMENTS = 1024;

/**
 * True when an output holds a value that is not finite, of a kind that no golden sample of the version shows in that output: no
 * answer for whoever asked. What golden samples show is what the publisher says the model gives.
 */
export function holdsUnexpected(outputs: NamedTensors, shown: NotFiniteOutputs): boolean {
  return Object.entries(outputs).some(([name, tensor]) => {
    const expected = shown.get(name);
    return numbersAt(tensor).some((value) => {
      const kind = notFiniteOf(value);
      return kind !== undefined && expected?.has(kind) !== true;
    });
  });
}

function numbersAt(tensor: Tensor): readonly number[] {
  const numberOf = floatReader(tensor.datatype);
  if (numberOf === undefined || !isFixedSize(tensor)) return [];
  const elements = elementsOf(tensor);
  const taken = Math.min(elements.length, MOST_ELEMENTS);
  return Array.from({ length: taken }, (_, index) => numberOf(Number(elements[Math.floor((index * elements.length) / taken)])));
}
