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
  yield* coalesced(new NestedWriter(tensor, indent).level(0, depth));
}

class NestedWriter {
  readonly #shape: readonly number[];
  readonly #indent: number | undefined;
  readonly #next: () => string;

  constructor(tensor: Tensor, indent: number | undefined) {
    this.#shape = tensor.shape;
    this.#indent = indent;
    this.#next = elementTexts(tensor);
  }

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
function elementTexts(tensor: Tensor): () => string {
  let at = 0;
  if (!isFixedSize(tensor)) {
    return () => {
      const element = nextBytesElement(tensor.data, at);
      at = element?.end ?? at;
      return JSON.stringify(Buffer.from(element?.bytes ?? []).toString('utf8'));
    };
  }
  const elements = elementsOf(tensor);
  if (tensor.datatype === 'BOOL') return () => String(elements[at++] !== 0);
  const form = floatForm(tensor.datatype);
  if (form === undefined) return () => String(elements[at++]);
  return () => floatText(form.read(Number(elements[at++])));
}

function floatText(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  return Number.isInteger(value) && Math.abs(value) < 1e21 ? `${value}.0` : String(value);
}

/** Joins small pieces: each costs a write. */
function* coalesced(pieces: Iterable<string>): Generator<string, void> {
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length < PIECE_CHARACTERS) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}
