import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { namedTensors, type NamedTensors, type TensorSpec } from '#shared/tensor/tensor.js';
import { FeatureColumn } from './feature-column.js';
import { addPiece, partsOf } from './parts.js';

/** Number of `example_list_with_context` in Input; `example_list` is 1. */
const WITH_CONTEXT = 2;

/** A feature by its name, in the pieces in which it came. */
type Features = Map<string, readonly Uint8Array[]>;

/**
 * The inputs of a model from a message Input as its bytes: a row for each example, with the features that are called as the inputs. Features
 * that an example lacks come from the context. Other features are passed over, as models of TensorFlow do. It can be interrupted wherever it
 * yields. Errors: `SERVE_REQUEST`, `TENSOR_MISSING`, `TENSOR_DATA`, `INPUT_TOO_LARGE`, `PROTOBUF_INVALID`.
 */
export function* inputsOfExamples(input: Uint8Array, inputs: readonly TensorSpec[]): Generator<void, NamedTensors> {
  const { lists, isWithContext } = yield* listsOf(input);
  const wanted = new Set(inputs.map(({ name }) => name));
  const context: Features = new Map();
  for (const list of isWithContext ? lists : []) yield* addContexts(list, wanted, context);
  const columns = inputs.map((spec) => ({ name: spec.name, column: new FeatureColumn(spec, LIMITS.inferBodyBytes) }));
  let row = 0;
  for (const list of lists) {
    for (const part of partsOf(list, [1])) {
      yield;
      if (part === undefined) continue;
      yield* addRow(part.bytes, row, { wanted, context, columns });
      row++;
    }
  }
  if (row === 0) throw new SkerryError('SERVE_REQUEST', 'Input is empty: it has no example');
  return namedTensors(columns.map(({ name, column }) => [name, column.tensor(row)]));
}

interface Rows {
  readonly wanted: ReadonlySet<string>;
  readonly context: Features;
  readonly columns: readonly { readonly name: string; readonly column: FeatureColumn }[];
}

function* addRow(example: Uint8Array, row: number, { wanted, context, columns }: Rows): Generator<void, void> {
  const features: Features = new Map();
  yield* addFeatures(example, wanted, features);
  let bytes = 0;
  for (const { name, column } of columns) {
    const feature = features.get(name) ?? context.get(name);
    if (feature === undefined) throw new SkerryError('TENSOR_MISSING', `example ${row} lacks the feature ${JSON.stringify(name)}`);
    yield* column.append(feature, row);
    bytes += column.byteLength;
  }
  if (bytes > LIMITS.inferBodyBytes) throw new SkerryError('INPUT_TOO_LARGE', `the examples have more than ${LIMITS.inferBodyBytes} bytes`);
}

/** The lists of examples; of both kinds the one that came last counts. */
function* listsOf(input: Uint8Array): Generator<void, { readonly lists: readonly Uint8Array[]; readonly isWithContext: boolean }> {
  let kind: number | undefined;
  let lists: Uint8Array[] = [];
  for (const part of partsOf(input, [1, WITH_CONTEXT])) {
    yield;
    if (part === undefined) continue;
    if (part.number !== kind) lists = [];
    kind = part.number;
    addPiece(lists, part.bytes, 'a list of examples');
  }
  return { lists, isWithContext: kind === WITH_CONTEXT };
}

function* addContexts(list: Uint8Array, wanted: ReadonlySet<string>, into: Features): Generator<void, void> {
  for (const part of partsOf(list, [2])) {
    yield;
    if (part !== undefined) yield* addFeatures(part.bytes, wanted, into);
  }
}

/** The features of an Example that are wanted; of two with one name the later one. */
function* addFeatures(example: Uint8Array, wanted: ReadonlySet<string>, into: Features): Generator<void, void> {
  for (const features of partsOf(example, [1])) {
    for (const entry of features === undefined ? [undefined] : partsOf(features.bytes, [1])) {
      if (entry === undefined) {
        yield;
        continue;
      }
      const { name, pieces } = yield* featureOf(entry.bytes);
      if (wanted.has(name)) into.set(name, pieces);
    }
  }
}

/** An entry of the map: its key is 1, its value 2. */
function* featureOf(entry: Uint8Array): Generator<void, { readonly name: string; readonly pieces: readonly Uint8Array[] }> {
  let name: Uint8Array | undefined;
  const pieces: Uint8Array[] = [];
  for (const part of partsOf(entry, [1, 2])) {
    if (part === undefined) yield;
    else if (part.number === 1) name = part.bytes;
    else addPiece(pieces, part.bytes, 'a feature');
  }
  // No input has a longer name.
  const isName = name !== undefined && name.byteLength <= LIMITS.tensorNameBytes;
  return { name: isName ? Buffer.from(name ?? []).toString('utf8') : '', pieces };
}
