import type { NamedTensors } from '#shared/tensor/tensor.js';
import type { HttpAnswer } from '../../http/exchange.js';
import { tensorAnswer } from '../../json/nested-answer.js';
import { rowPieces } from '../../json/row-answer.js';
import type { Envelope } from './cloud-event.js';

/**
 * `{"predictions": [...]}`, a row of the only output each, or an object of all. KServe's server has null for what is not finite, and its
 * clients read no words for it. Errors: `SERVE_REQUEST` for outputs without rows, `SERVE_JSON_TOO_LARGE`, `TENSOR_NOT_IN_JSON`.
 */
export function predictionsAnswer(outputs: NamedTensors, { headers, before, behind }: Envelope, jsonElements: number): Promise<HttpAnswer> {
  return tensorAnswer(outputs, { headers, jsonElements }, () => {
    // Before the first piece is written: afterwards nothing can be refused.
    const rows = rowPieces(outputs, { notFinite: 'null' });
    return around(`${before}{"predictions":`, rows, `}${behind}`);
  });
}

function* around(before: string, pieces: Generator<string, void>, behind: string): Generator<string, void> {
  yield before;
  yield* pieces;
  yield behind;
}
