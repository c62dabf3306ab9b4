import { SkerryError } from '#shared/kernel/errors.js';
import { ProtobufReader, WIRE } from '#shared/protobuf/reader.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { elementSize } from '#shared/tensor/datatype.js';
import { floatForm } from '#shared/tensor/float-form.js';
import { formatShape } from '#shared/tensor/shape.js';
import type { Tensor, TensorSpec } from '#shared/tensor/tensor.js';
import type { FEATURE } from './example-protos.js';
import { GrowingBytes } from './growing-bytes.js';
import { addPiece, partsOf } from './parts.js';

type List = keyof (typeof FEATURE)['fields'];

/** How the values of a feature become elements of a datatype. */
interface ElementForm {
  /** The list that has such values. */
  readonly list: List;
  readonly wire: number;
  /** Reads a value and writes it as an element; false where it does not fit. */
  readonly copy: (reader: ProtobufReader, view: DataView, at: number) => boolean;
}

/** feature.proto has lists of three types. */
const FORMS: Readonly<Record<Exclude<Datatype, 'BYTES'>, ElementForm>> = {
  BOOL: integers(0, 1, (view, at, value) => view.setUint8(at, value)),
  UINT8: integers(0, 0xff, (view, at, value) => view.setUint8(at, value)),
  UINT16: integers(0, 0xffff, (view, at, value) => view.setUint16(at, value, true)),
  UINT32: integers(0, 0xffffffff, (view, at, value) => view.setUint32(at, value, true)),
  INT8: integers(-0x80, 0x7f, (view, at, value) => view.setInt8(at, value)),
  INT16: integers(-0x8000, 0x7fff, (view, at, value) => view.setInt16(at, value, true)),
  INT32: integers(-0x80000000, 0x7fffffff, (view, at, value) => view.setInt32(at, value, true)),
  INT64: longs(-(2n ** 63n), (view, at, value) => view.setBigInt64(at, value, true)),
  UINT64: longs(0n, (view, at, value) => view.setBigUint64(at, value, true)),
  FP16: floats('FP16', (view, at, value) => view.setUint16(at, value, true)),
  BF16: floats('BF16', (view, at, value) => view.setUint16(at, value, true)),
  FP32: floats('FP32', (view, at, value) => view.setFloat32(at, value, true)),
  FP64: floats('FP64', (view, at, value) => view.setFloat64(at, value, true)),
};

const LISTS: Readonly<Record<number, List>> = { 1: 'bytes_list', 2: 'float_list', 3: 'int64_list' };
const VALUES_AT_ONCE = 10_000;

/** The values that examples have for one input, row by row. */
export class FeatureColumn {
  readonly #spec: TensorSpec;
  readonly #elements: GrowingBytes;
  #perRow: number | undefined;

  /** `most`: bytes that the values may fill. */
  constructor(spec: TensorSpec, most: number) {
    this.#spec = spec;
    this.#elements = new GrowingBytes(most, `input ${JSON.stringify(spec.name)}`);
  }

  get byteLength(): number {
    return this.#elements.size;
  }

  /** Adds the values of a feature, which may come in several pieces. It can be interrupted wherever it yields. Errors: `TENSOR_DATA`, `INPUT_TOO_LARGE`. */
  *append(feature: readonly Uint8Array[], row: number): Generator<void, void> {
    const { datatype } = this.#spec;
    const expected = datatype === 'BYTES' ? 'bytes_list' : FORMS[datatype].list;
    const { list, pieces } = yield* listOf(feature);
    if (list !== undefined && list !== expected) {
      throw this.#refuse(row, `has a ${list}; the input is ${datatype}, which takes a ${expected}`);
    }
    let count = 0;
    for (const piece of pieces) {
      count += datatype === 'BYTES' ? yield* this.#appendTexts(piece) : yield* this.#appendNumbers(FORMS[datatype], piece, row);
    }
    this.#perRow ??= count;
    if (count !== this.#perRow) throw this.#refuse(row, `has ${count} values; those before it have ${this.#perRow}`);
  }

  /** Errors: `TENSOR_DATA` where each row has another number of values than the input takes. */
  tensor(rows: number): Tensor {
    const { datatype } = this.#spec;
    return { datatype, shape: [rows, ...this.#rowShape(this.#perRow ?? 0)], data: this.#elements.bytes() };
  }

  *#appendNumbers({ wire, copy }: ElementForm, list: Uint8Array, row: number): Generator<void, number> {
    const size = elementSize(this.#spec.datatype) ?? 1;
    const elements = this.#elements;
    let [count, steps] = [0, 0];
    for (const values of valuesOf(list, wire)) {
      if (values === undefined) {
        yield;
        continue;
      }
      while (values.hasMore) {
        const at = elements.extend(size);
        if (!copy(values, elements.view, at)) throw this.#refuse(row, `has a value that ${this.#spec.datatype} does not have`);
        count++;
        if (++steps % VALUES_AT_ONCE === 0) yield;
      }
    }
    return count;
  }

  *#appendTexts(list: Uint8Array): Generator<void, number> {
    let count = 0;
    for (const part of partsOf(list, [1])) {
      if (part === undefined) {
        yield;
        continue;
      }
      const at = this.#elements.extend(4);
      this.#elements.view.setUint32(at, part.bytes.byteLength, true);
      this.#elements.append(part.bytes);
      count++;
    }
    return count;
  }

  /** Sizes behind the first: a list has none, the input says them. */
  #rowShape(count: number): readonly number[] {
    const { shape, anyShape, name } = this.#spec;
    if (anyShape === true) return [count];
    const inner = shape.slice(1);
    const fixed = inner.filter((size) => size !== -1).reduce((product, size) => product * size, 1);
    const free = inner.filter((size) => size === -1).length;
    const rest = free === 1 ? count / fixed : 1;
    const fits = free === 1 ? Number.isInteger(rest) : free === 0 && count === fixed;
    if (fits) return inner.map((size) => (size === -1 ? rest : size));
    throw new SkerryError('TENSOR_DATA', `input ${JSON.stringify(name)} ${formatShape(shape)} cannot have ${count} values in each example`);
  }

  #refuse(row: number, why: string): SkerryError {
    return new SkerryError('TENSOR_DATA', `feature ${JSON.stringify(this.#spec.name)} of example ${row} ${why}`);
  }
}

/** The list that is set: of several the last one, whose pieces belong together. */
function* listOf(
  feature: readonly Uint8Array[],
): Generator<void, { readonly list: List | undefined; readonly pieces: readonly Uint8Array[] }> {
  let list: List | undefined;
  let pieces: Uint8Array[] = [];
  for (const piece of feature) {
    for (const part of partsOf(piece, [1, 2, 3])) {
      if (part === undefined) {
        yield;
        continue;
      }
      if (LISTS[part.number] !== list) pieces = [];
      list = LISTS[part.number];
      addPiece(pieces, part.bytes, 'the list of a feature');
    }
  }
  return { list, pieces };
}

/** Where the values stand: all in one part (packed), or each in a field; undefined wherever the work may be interrupted. */
function* valuesOf(list: Uint8Array, wire: number): Generator<ProtobufReader | undefined, void> {
  const reader = new ProtobufReader(list);
  for (let count = 1; reader.hasMore; count++) {
    if (count % VALUES_AT_ONCE === 0) yield undefined;
    const tag = reader.tag();
    if (tag === 8 + WIRE.bytes) yield new ProtobufReader(reader.bytes());
    else if (tag === 8 + wire) yield new ProtobufReader(reader.value(tag));
    else reader.skip(tag);
  }
}

function integers(low: number, high: number, write: (view: DataView, at: number, value: number) => void): ElementForm {
  return {
    list: 'int64_list',
    wire: WIRE.varint,
    copy: (reader, view, at) => {
      const value = reader.long();
      write(view, at, value);
      return value >= low && value <= high;
    },
  };
}

function longs(low: bigint, write: (view: DataView, at: number, value: bigint) => void): ElementForm {
  return {
    list: 'int64_list',
    wire: WIRE.varint,
    copy: (reader, view, at) => {
      const value = reader.int64();
      write(view, at, value);
      return value >= low;
    },
  };
}

/** A number that the type would round to infinity does not fit. */
function floats(datatype: Datatype, write: (view: DataView, at: number, value: number) => void): ElementForm {
  const form = floatForm(datatype) ?? { read: Number, write: Number };
  return {
    list: 'float_list',
    wire: WIRE.fixed32,
    copy: (reader, view, at) => {
      const value = reader.float();
      const element = form.write(value);
      write(view, at, element);
      return !Number.isFinite(value) || Number.isFinite(form.read(element));
    },
  };
}
