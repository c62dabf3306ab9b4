import { elementsOf, isFixedSize } from './elements.js';
import { floatForm } from './float-form.js';
import type { NamedTensors, Tensor } from './tensor.js';

/** Values of floating-point tensors that are not numbers one can calculate with; also their form in JSON, as strings (protobuf's JSON mapping). */
export const NOT_FINITE = ['NaN', 'Infinity', '-Infinity'] as const;
export type NotFinite = (typeof NOT_FINITE)[number];

/** By name of an output: which values that are not finite it was seen to hold. Outputs without any are left out. */
export type NotFiniteOutputs = ReadonlyMap<string, ReadonlySet<NotFinite>>;

/** What a number is called that is not finite; `undefined` for every other. */
export function notFiniteOf(value: number): NotFinite | undefined {
  if (Number.isFinite(value)) return undefined;
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? 'Infinity' : '-Infinity';
}

/** Which values that are not finite each tensor holds; several sets of tensors count together. */
export function notFiniteIn(sets: readonly NamedTensors[]): NotFiniteOutputs {
  const found = new Map<string, Set<NotFinite>>();
  for (const tensors of sets) {
    for (const [name, tensor] of Object.entries(tensors)) {
      const kinds = kindsIn(tensor);
      if (kinds.size > 0) found.set(name, new Set([...kinds, ...(found.get(name) ?? [])]));
    }
  }
  return found;
}

function kindsIn(tensor: Tensor): Set<NotFinite> {
  const kinds = new Set<NotFinite>();
  const form = floatForm(tensor.datatype);
  if (form === undefined || !isFixedSize(tensor)) return kinds;
  for (const element of elementsOf(tensor)) {
    const kind = notFiniteOf(form.read(Number(element)));
    if (kind !== undefined) kinds.add(kind);
  }
  return kinds;
}
