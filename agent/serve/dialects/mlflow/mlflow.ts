import type { TensorSpec } from '#shared/tensor/tensor.js';
import type { Dialect, DialectDeps } from '../../dialect.js';
import type { Handler, HttpAnswer, HttpRoute } from '../../http/exchange.js';
import { checkExpectedOutputs, nestedAnswer } from '../../json/nested-answer.js';
import { readingBody } from '../../json/python-json.js';
import { onlyModel } from '../../only-model.js';
import { requestId } from '../../request-id.js';
import { scoringType } from './content-type.js';
import { scoringError } from './scoring-error.js';
import { readScoring } from './scoring-request.js';

const JSON_HEADERS = { 'content-type': 'application/json' };

/** The protocol of MLflow's scoring server, version 2 and later. It serves one model: the only one here, or that of `?model_name=`. */
export const MLFLOW: Dialect = { name: 'mlflow', http: (deps) => ({ routes: routes(deps), error: scoringError }) };

function routes(deps: DialectDeps): readonly HttpRoute[] {
  const health = healthHandler(deps);
  return [
    { method: 'GET', path: '/ping', call: 'health', handle: health },
    { method: 'GET', path: '/health', call: 'health', handle: health },
    { method: 'GET', path: '/version', call: 'metadata', handle: () => textAnswer(deps.agentVersion) },
    { method: 'POST', path: '/invocations', call: 'inference', handle: invocationHandler(deps) },
  ];
}

/** 200 where some model answers, 404 where none does. */
function healthHandler({ models }: DialectDeps): Handler {
  return () => textAnswer('\n', models.list().some(({ state }) => state === 'available') ? 200 : 404);
}

function textAnswer(text: string, status = 200): HttpAnswer {
  return { status, headers: JSON_HEADERS, body: [text] };
}

function invocationHandler({ models, predict, jsonElements }: DialectDeps): Handler {
  return async (exchange) => {
    const model = onlyModel(models, exchange.query.get('model_name'));
    const type = scoringType(exchange.headers['content-type']);
    const { inputs: specs, outputs: declared } = models.find(model);
    const { bytes } = await exchange.body();
    const inputs = await readingBody(bytes, readScoring(type, bytes, { inputs: specs, jsonElements }));
    const { outputs } = await predict({
      model,
      inputs,
      outputs: wantedOutputs(exchange.query.getAll('output'), declared),
      id: requestId(exchange.headers),
      owned: true,
      recipient: exchange,
      expecting: (expected) => checkExpectedOutputs(expected, jsonElements),
    });
    return nestedAnswer(outputs, { member: 'predictions', headers: JSON_HEADERS, jsonElements });
  };
}

/** Outputs of classifiers as skl2onnx names them: labels and scores. */
const CLASSIFIERS: readonly (readonly [string, string])[] = [
  ['label', 'probabilities'],
  ['output_label', 'output_probability'],
];

/** The outputs that a client names; else the labels of a scikit-learn classifier, as its `predict` gives them; else all. */
function wantedOutputs(named: readonly string[], declared: readonly TensorSpec[]): readonly string[] | undefined {
  if (named.length > 0) return named;
  const names = declared.map(({ name }) => name);
  const classifier = CLASSIFIERS.find((pair) => names.length === pair.length && pair.every((name) => names.includes(name)));
  return classifier?.slice(0, 1);
}
