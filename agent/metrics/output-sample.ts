import { elementsOf, isFixedSize } from '#shared/tensor/elements.js';
import { floatForm } from '#shared/tensor/float-form.js';
import { elementCount } from '#shared/tensor/shape.js';
import type { NamedTensors, Tensor } from '#shared/tensor/tensor.js';
import { OUTPUTS_PER_WINDOW } from '#shared/signals/rows.js';
import { outputLabel } from '#shared/protocol/output-label.js';

const VALUES_PER_OUTPUT = 8;

export interface OutputSample {
  readonly name: string;
  readonly values: readonly number[];
}

/**
 * A few values of each output, at places that depend on its size alone, so that two versions are sampled alike. Values may
 * not be finite; outputs of strings are left out.
 */
export function sampleOutputs(outputs: NamedTensors): OutputSample[] {
  const samples: OutputSample[] = [];
  for (const [name, tensor] of Object.entries(outputs)) {
    if (samples.length >= OUTPUTS_PER_WINDOW) break;
    const values = sampleTensor(tensor);
    if (values.length > 0) samples.push({ name: outputLabel(name), values });
  }
  return samples;
}

function sampleTensor(tensor: Tensor): number[] {
  if (!isFixedSize(tensor)) return [];
  const count = elementCount(tensor.shape, 'output');
  if (count === 0) return [];
  const elements = elementsOf(tensor);
  const taken = Math.min(count, VALUES_PER_OUTPUT);
  const form = floatForm(tensor.datatype);
  return Array.from({ length: taken }, (_, i) => {
    const element = Number(elements[Math.floor((i * count) / taken)] ?? 0);
    return form?.read(element) ?? element;
  });
}
