import { piecesInTurns } from '#shared/kernel/turns.js';
import type { HttpAnswer } from '../../http/exchange.js';
import { JsonAllowance } from '../../json/json-allowance.js';
import { coalesced, floatText } from '../../json/nested-write.js';
import { checkOneValue, type ExampleScores } from './example-scores.js';
import { JSON_HEADERS } from './predict-answer.js';

/** ClassificationResult: for each example, its classes with their scores in the order of the output. Errors: `SERVE_JSON_TOO_LARGE`. */
export function classificationAnswer(scores: ExampleScores, jsonElements: number): HttpAnswer {
  return resultsAnswer(scores, jsonElements, classes);
}

/** RegressionResult: a value for each example. Errors: `SERVE_REQUEST` where the model gives several, `SERVE_JSON_TOO_LARGE`. */
export function regressionAnswer(scores: ExampleScores, jsonElements: number): HttpAnswer {
  checkOneValue(scores);
  return resultsAnswer(scores, jsonElements, ({ score }, example) => floatText(score(example, 0)));
}

function classes({ classes: count, score, label }: ExampleScores, example: number): string {
  const pairs = Array.from({ length: count }, (_, at) => `[${JSON.stringify(label(at))},${floatText(score(example, at))}]`);
  return `[${pairs.join()}]`;
}

function resultsAnswer(
  scores: ExampleScores,
  jsonElements: number,
  result: (scores: ExampleScores, example: number) => string,
): HttpAnswer {
  const count = scores.examples * scores.classes;
  new JsonAllowance(jsonElements).take(count, 'the result', 'Ask for binary tensors with the Open Inference Protocol');
  return { status: 200, headers: JSON_HEADERS, body: piecesInTurns(coalesced(results(scores, result))) };
}

function* results(scores: ExampleScores, result: (scores: ExampleScores, example: number) => string): Generator<string, void> {
  yield '{"results":[';
  for (let example = 0; example < scores.examples; example++) yield `${example === 0 ? '' : ','}${result(scores, example)}`;
  yield ']}';
}
