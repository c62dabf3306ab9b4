import { SkerryError } from '#shared/kernel/errors.js';
import { namedTensors, type NamedTensors, type Tensor, type TensorSpec } from '#shared/tensor/tensor.js';
import { isObject } from './fields.js';
import type { JsonAllowance } from './json-allowance.js';
import { nestedTensor } from './nested-read.js';
import type { ElementReading } from './python-elements.js';

/**
 * The inputs of a model from a JSON value, by its signature: of several, each by its name in an object, where other members mean nothing;
 * an only one likewise, or the value itself. It can be interrupted wherever it yields. Errors: `TENSOR_MISSING`, and those of tensors.
 */
export function* inputsBySignature(
  value: unknown,
  inputs: readonly TensorSpec[],
  json: JsonAllowance,
  element?: ElementReading,
): Generator<void, NamedTensors> {
  const [only] = inputs;
  if (inputs.length === 1 && only !== undefined && !(isObject(value) && Object.hasOwn(value, only.name))) {
    return namedTensors([[only.name, yield* nestedTensor(value, { spec: only, json, element })]]);
  }
  const tensors: [string, Tensor][] = [];
  for (const spec of inputs) {
    if (!isObject(value) || !Object.hasOwn(value, spec.name)) throw missingInputs(inputs, isObject(value) ? Object.keys(value) : []);
    tensors.push([spec.name, yield* nestedTensor(value[spec.name], { spec, json, element })]);
  }
  return namedTensors(tensors);
}

const SHOWN_NAMES = 16;

/** What a request lacks that names some inputs or columns, but not those of the model. */
export function missingInputs(inputs: readonly TensorSpec[], given: readonly string[]): SkerryError {
  const missing = inputs.map(({ name }) => name).filter((name) => !given.includes(name));
  const list = (names: readonly string[]): string =>
    names
      .slice(0, SHOWN_NAMES)
      .map((name) => JSON.stringify(name.slice(0, 128)))
      .join(', ');
  const found = given.length === 0 ? 'the request names none' : `the request has ${list(given)}`;
  return new SkerryError('TENSOR_MISSING', `the model needs ${list(missing)}; ${found}`);
}
