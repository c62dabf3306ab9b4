import { elementsOf, isFixedSize } from '#shared/tensor/elements.js';
import { floatForm } from '#shared/tensor/float-form.js';
import { type NotFinite, notFiniteOf, type NotFiniteOutputs } from '#shared/tensor/not-finite.js';
import type { NamedTensors, Tensor } from '#shared/tensor/tensor.js';

/** Elements of one output that are looked at, spread evenly: this runs on every answer, on the event loop. */
const MOST_ELEMENTS = 1024;

/**
 * True when an output holds a value that is not finite, of a kind that no golden sample of the version shows in that output: no
 * answer for whoever asked. What golden samples show is what the publisher says the model gives.
 */
export function holdsUnexpected(outputs: NamedTensors, shown: NotFiniteOutputs): boolean {
  for (const name of Object.keys(outputs)) {
    const tensor = outputs[name];
    if (tensor !== undefined && holdsOther(tensor, shown.get(name))) return true;
  }
  return false;
}

function holdsOther(tensor: Tensor, expected: ReadonlySet<NotFinite> | undefined): boolean {
  const form = floatForm(tensor.datatype);
  if (form === undefined || !isFixedSize(tensor)) return false;
  const elements = elementsOf(tensor);
  const step = Math.max(1, Math.ceil(elements.length / MOST_ELEMENTS));
  for (let at = 0; at < elements.length; at += step) {
    const kind = notFiniteOf(form.read(Number(elements[at])));
    if (kind !== undefined && expected?.has(kind) !== true) return true;
  }
  return false;
}
