import { SkerryError } from '#shared/kernel/errors.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';

/** An input as the model file declares it: sizes, or the names of sizes that vary ('' where they have none). */
export interface DeclaredInput extends TensorSpec {
  readonly dimensions?: readonly (number | string)[];
}

interface Place {
  readonly input: string;
  readonly axis: number;
}

/** Places of inputs that the model declares to have one size, by the name of that size. */
export type SharedSizes = ReadonlyMap<string, readonly Place[]>;

/** Names that exporters write for sizes they know nothing of; they do not say that two sizes are equal. */
const UNKNOWN = new Set(['', '?', '-1', 'none', 'null', 'unknown', 'unk', 'dynamic', 'any']);

/**
 * Sizes that several places of the inputs share by name. ONNX gives one name to sizes that are equal; a name that a golden sample
 * contradicts means nothing and is left out.
 */
export function sharedSizes(inputs: readonly DeclaredInput[], samples: readonly { readonly inputs: NamedTensors }[]): SharedSizes {
  const places = new Map<string, Place[]>();
  for (const { name: input, dimensions = [] } of inputs) {
    for (const [axis, size] of dimensions.entries()) {
      if (typeof size !== 'string' || UNKNOWN.has(size.toLowerCase())) continue;
      places.set(size, [...(places.get(size) ?? []), { input, axis }]);
    }
  }
  const holds = (shared: readonly Place[]): boolean =>
    shared.length > 1 && samples.every((sample) => oddPlace(shared, sample.inputs) === undefined);
  return new Map([...places].filter(([, shared]) => holds(shared)));
}

/** Refuses inputs whose sizes differ where the model declares one size for both. Throws `TENSOR_SHAPE`. */
export function checkSharedSizes(shared: SharedSizes, inputs: NamedTensors): void {
  for (const [name, places] of shared) {
    const odd = oddPlace(places, inputs);
    const [first] = places;
    if (odd === undefined || first === undefined) continue;
    const [one, other] = [first, odd].map(
      (place) => `input ${JSON.stringify(place.input)} has size ${sizeAt(inputs, place)} at dimension ${place.axis}`,
    );
    throw new SkerryError('TENSOR_SHAPE', `${one} and ${other}; the model declares both as ${JSON.stringify(name)}, so they must be equal`);
  }
}

function oddPlace(places: readonly Place[], inputs: NamedTensors): Place | undefined {
  const [first] = places;
  const size = first && sizeAt(inputs, first);
  return places.find((place) => sizeAt(inputs, place) !== size);
}

function sizeAt(inputs: NamedTensors, { input, axis }: Place): number | undefined {
  return inputs[input]?.shape[axis];
}
