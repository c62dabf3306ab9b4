import type { TensorSpec } from '#shared/tensor/tensor.js';
import type { NamedTensors, Tensor } from '#shared/tensor/tensor.js';
import { atOnce, inTurns, piecesInTurns } from '#shared/kernel/turns.js';
import { checkJson } from '#shared/tensor/json-write.js';
import { elementCount, formatShape } from '#shared/tensor/shape.js';
import type { HttpAnswer } from '../http/exchange.js';
import { JsonAllowance } from './json-allowance.js';
import { lineBreak, nestedPieces } from './nested-write.js';

/** Elements and bytes up to which an answer is written in one go: some hundred microseconds of work. */
const AT_ONCE_ELEMENTS = 4_096;
const AT_ONCE_BYTES = 64 * 1024;

interface AnswerForm {
  readonly headers: Readonly<Record<string, string>>;
  readonly jsonElements: number;
}

interface NestedForm extends AnswerForm {
  /** Member of an object that holds the outputs; they are the whole document when left out. */
  readonly member?: string;
  /** Spaces for each level; everything stands in one line when left out. */
  readonly indent?: number;
}

/**
 * An answer in JSON: the only output itself, or an object of several by name, each nested as its shape. Errors: `SERVE_JSON_TOO_LARGE`,
 * `TENSOR_NOT_IN_JSON`.
 */
export function nestedAnswer(outputs: NamedTensors, form: NestedForm): Promise<HttpAnswer> {
  return tensorAnswer(outputs, form, () => answerPieces(Object.entries(outputs), form));
}

/** An answer in which outputs stand as JSON; a large one is written in pieces. Errors: `SERVE_JSON_TOO_LARGE`, `TENSOR_NOT_IN_JSON`. */
export async function tensorAnswer(outputs: NamedTensors, form: AnswerForm, write: () => Generator<string, void>): Promise<HttpAnswer> {
  const json = new JsonAllowance(form.jsonElements);
  let bytes = 0;
  for (const [name, tensor] of Object.entries(outputs)) {
    takeOutput(json, name, tensor.shape);
    bytes += tensor.data.byteLength;
    const check = checkJson(tensor, `output ${JSON.stringify(name)}`);
    if (tensor.data.byteLength > AT_ONCE_BYTES) await inTurns(check);
    else atOnce(check);
  }
  const pieces = write();
  const isLarge = json.taken > AT_ONCE_ELEMENTS || bytes > AT_ONCE_BYTES;
  return { status: 200, headers: form.headers, body: isLarge ? piecesInTurns(pieces) : [[...pieces].join('')] };
}

/** Refuses a request whose answer would be too large, where its declared outputs show that before the model runs. */
export function checkExpectedOutputs(outputs: readonly TensorSpec[], jsonElements: number): void {
  const json = new JsonAllowance(jsonElements);
  for (const { name, shape, anyShape } of outputs) {
    if (anyShape !== true && !shape.includes(-1)) takeOutput(json, name, shape);
  }
}

function takeOutput(json: JsonAllowance, name: string, shape: readonly number[]): void {
  const what = `output ${JSON.stringify(name)}`;
  json.take(elementCount(shape, what), `${what} ${formatShape(shape)}`, 'Ask for binary tensors with the Open Inference Protocol');
}

function* answerPieces(outputs: readonly (readonly [string, Tensor])[], { member, indent }: NestedForm): Generator<string, void> {
  const depth = member === undefined ? 0 : 1;
  if (member !== undefined) yield `{${lineBreak(indent, 1)}${JSON.stringify(member)}: `;
  const [only] = outputs;
  if (outputs.length === 1 && only !== undefined) yield* nestedPieces(only[1], indent, depth);
  else {
    for (const [index, [name, tensor]] of outputs.entries()) {
      yield `${index === 0 ? '{' : ','}${lineBreak(indent, depth + 1)}${JSON.stringify(name)}: `;
      yield* nestedPieces(tensor, indent, depth + 1);
    }
    yield `${outputs.length === 0 ? '{' : lineBreak(indent, depth)}}`;
  }
  if (member !== undefined) yield `${lineBreak(indent, 0)}}`;
}
