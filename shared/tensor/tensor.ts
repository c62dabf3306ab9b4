import type { Datatype } from './datatype.js';

/**
 * A dense tensor, one form everywhere: row-major, little-endian bytes. `data.byteLength` is the product of `shape` times
 * the element size; a BYTES tensor holds its elements each behind a 4-byte little-endian length (OIP v2 binary extension).
 */
export interface Tensor {
  readonly datatype: Datatype;
  /** Concrete sizes, row-major; `[]` is a scalar. */
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Tensors by the name the model gives them. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** A named input or output of a model; -1 in `shape` is a dimension that varies. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** The model says nothing of its shape, so any will do; `shape` is empty then, and no scalar is meant. */
  readonly anyShape?: true | undefined;
}

const PROTOTYPE = '__proto__';

/** Tensors by name. Models may call theirs as they like, also as what every object of JavaScript has, such as `__proto__`. */
export function namedTensors(entries: Iterable<readonly [string, Tensor]>): NamedTensors {
  // Object.fromEntries defines members, where an assignment to `__proto__` would set the prototype.
  return Object.fromEntries(entries);
}

/** The tensor of this name; what an object inherits, such as `constructor`, is none. */
export function tensorNamed(tensors: NamedTensors, name: string): Tensor | undefined {
  return Object.hasOwn(tensors, name) ? tensors[name] : undefined;
}

/**
 * Lets the runtime's binding, which assigns by name, give a tensor called `__proto__`: takes from this thread's objects what makes
 * that name special, as `node --disable-proto=delete` does. Only where a model has such a name.
 */
export function allowAnyName(names: readonly string[]): void {
  if (names.includes(PROTOTYPE)) Reflect.deleteProperty(Object.prototype, PROTOTYPE);
}
