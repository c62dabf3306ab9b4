import { nextBytesElement } from '#shared/tensor/bytes-elements.js';
import { elementsOf, isFixedSize } from '#shared/tensor/elements.js';
import { floatForm } from '#shared/tensor/float-form.js';
import type { Tensor } from '#shared/tensor/tensor.js';

/** Characters of a piece of text: some ten microseconds of work. */
const PIECE_CHARACTERS = 16 * 1024;

/**
 * A tensor as JSON arrays nested as its shape, as Python's `json` module writes them: floating-point numbers have a point or an exponent,
 * those that are not finite are the words NaN, Infinity and -Infinity, and whole numbers have all their digits. With an `indent` of some
 * spaces, every value stands in a line of its own. The tensor must have passed `checkJson`.
 */
export function* nestedPieces(tensor: Tensor, indent?: number, depth = 0): Generator<string, void> {
  yield* coalesced(new NestedWriter(tensor, { indent }).level(0, depth));
}

interface ElementForm {
  /** BYTES as `{"b64": "..."}`. */
  readonly base64?: boolean | undefined;
  /** Numbers that are not finite; the words of Python when left out. */
  readonly notFinite?: 'null' | undefined;
}

interface WriterForm extends ElementForm {
  readonly indent?: number | undefined;
}

/** Writes a tensor from its first element to its last, as a whole or in parts. */
export class NestedWriter {
  readonly #shape: readonly number[];
  readonly #indent: number | undefined;
  readonly #next: () => string;

  constructor(tensor: Tensor, form: WriterForm) {
    this.#shape = tensor.shape;
    this.#indent = form.indent;
    this.#next = elementTexts(tensor, form);
  }

  /** The next array of elements from this axis on: 0 is the tensor, 1 its next row. */
  *level(axis: number, depth: number): Generator<string, void> {
    const size = this.#shape[axis];
    if (size === undefined) yield this.#next();
    else if (size === 0) yield '[]';
    else {
      const line = lineBreak(this.#indent, depth + 1);
      for (let index = 0; index < size; index++) {
        yield `${index === 0 ? '[' : ','}${line}`;
        yield* this.level(axis + 1, depth + 1);
      }
      yield `${lineBreak(this.#indent, depth)}]`;
    }
  }
}

/** What stands before a value that begins a line. */
export function lineBreak(indent: number | undefined, depth: number): string {
  return indent === undefined ? '' : `\n${' '.repeat(indent * depth)}`;
}

/** Gives one element after the other. */
function elementTexts(tensor: Tensor, { base64 = false, notFinite }: ElementForm): () => string {
  let at = 0;
  if (!isFixedSize(tensor)) {
    return () => {
      const element = nextBytesElement(tensor.data, at);
      at = element?.end ?? at;
      const bytes = Buffer.from(element?.bytes ?? []);
      return base64 ? `{"b64":"${bytes.toString('base64')}"}` : JSON.stringify(bytes.toString('utf8'));
    };
  }
  const elements = elementsOf(tensor);
  if (tensor.datatype === 'BOOL') return () => String(elements[at++] !== 0);
  const form = floatForm(tensor.datatype);
  if (form === undefined) return () => String(elements[at++]);
  return () => {
    const value = form.read(Number(elements[at++]));
    return Number.isFinite(value) || notFinite === undefined ? floatText(value) : notFinite;
  };
}

export function floatText(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  return Number.isInteger(value) && Math.abs(value) < 1e21 ? `${value}.0` : String(value);
}

/** Joins small pieces: each costs a write. */
export function* coalesced(pieces: Iterable<string>): Generator<string, void> {
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length < PIECE_CHARACTERS) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}
