import type { NamedTensors } from '#shared/tensor/tensor.js';
import type { HttpAnswer } from '../../http/exchange.js';
import { tensorAnswer } from '../../json/nested-answer.js';
import { columnPieces, type ElementForms, rowPieces } from '../../json/row-answer.js';
import type { RequestForm } from './predict-request.js';

export const JSON_HEADERS = { 'content-type': 'application/json' };

/** Outputs whose names say that they are bytes go as base64. */
const ELEMENTS: ElementForms = { base64: (name) => name.endsWith('_bytes') };

/** PredictResponse in the form of its request. Errors: `SERVE_REQUEST` for outputs without rows, `SERVE_JSON_TOO_LARGE`, `TENSOR_NOT_IN_JSON`. */
export function predictAnswer(outputs: NamedTensors, form: RequestForm, jsonElements: number): Promise<HttpAnswer> {
  return tensorAnswer(outputs, { headers: JSON_HEADERS, jsonElements }, () => inMember(outputs, form));
}

function inMember(outputs: NamedTensors, form: RequestForm): Generator<string, void> {
  // Before the first piece is written: afterwards nothing can be refused.
  const pieces = form === 'row' ? rowPieces(outputs, ELEMENTS) : columnPieces(outputs, ELEMENTS);
  return withMember(form === 'row' ? 'predictions' : 'outputs', pieces);
}

function* withMember(member: string, pieces: Generator<string, void>): Generator<string, void> {
  yield `{"${member}":`;
  yield* pieces;
  yield '}';
}
