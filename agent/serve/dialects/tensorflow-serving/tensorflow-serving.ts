import type { Dialect, DialectDeps } from '../../dialect.js';
import type { Handler, HttpRoute } from '../../http/exchange.js';
import { jsonAnswer } from '../../http/json-answer.js';
import { checkExpectedOutputs } from '../../json/nested-answer.js';
import { readingBody } from '../../json/python-json.js';
import { modelNames } from '../../model-names.js';
import { namedModel } from '../../named.js';
import { requestId } from '../../request-id.js';
import { classificationAnswer, regressionAnswer } from './example-answer.js';
import { exampleScores } from './example-scores.js';
import { modelMetadata } from './model-metadata.js';
import { modelStatus } from './model-status.js';
import { predictAnswer } from './predict-answer.js';
import { readExamples, readPredict } from './predict-request.js';
import { tensorflowError } from './tensorflow-error.js';

/** TensorFlow Serving's REST API. A version is named by its number, by a label, or not at all. */
export const TENSORFLOW_SERVING: Dialect = {
  name: 'tensorflow-serving',
  http: (deps) => ({ routes: routes(deps), error: tensorflowError }),
  grpc: async () => (await import('./grpc/tensorflow-grpc.js')).tensorflowGrpc,
};

const VERSIONS = ['', '/versions/:version', '/labels/:label'] as const;

function routes(deps: DialectDeps): readonly HttpRoute[] {
  const [predict, classify, regress] = [predictHandler(deps), classifyHandler(deps), regressHandler(deps)];
  const [status, metadata] = [statusHandler(deps), metadataHandler(deps)];
  const ofVersions = VERSIONS.flatMap((version): readonly HttpRoute[] => {
    const path = `/v1/models/:model${version}`;
    return [
      { method: 'POST', path: `${path}:predict`, ignoreCase: true, call: 'inference', handle: predict },
      { method: 'POST', path: `${path}:classify`, ignoreCase: true, call: 'inference', handle: classify },
      { method: 'POST', path: `${path}:regress`, ignoreCase: true, call: 'inference', handle: regress },
      { method: 'GET', path: `${path}/metadata`, ignoreCase: true, call: 'metadata', handle: metadata },
      { method: 'GET', path, ignoreCase: true, call: 'metadata', handle: status },
    ];
  });
  // TensorFlow Serving itself refuses this path. The list is that of KServe.
  const list: Handler = () => jsonAnswer({ models: modelNames(deps.models) });
  return [...ofVersions, { method: 'GET', path: '/v1/models', ignoreCase: true, call: 'metadata', handle: list }];
}

type Target = ReturnType<typeof namedModel>;

/** Model and version of a path. Clients that always name a version name 0 where any will do, as over gRPC. */
function targetOf({ repository }: DialectDeps, params: Readonly<Record<string, string>>): Target {
  const { label, version, ...rest } = params;
  const target = namedModel(version === undefined || version === '0' ? rest : { ...rest, version });
  return label === undefined ? target : { ...target, version: repository.labelled(target.model, label) };
}

function predictHandler(deps: DialectDeps): Handler {
  const { models, predict, jsonElements } = deps;
  return async (exchange) => {
    const target = targetOf(deps, exchange.params);
    const { inputs: specs } = models.find(target.model, target.version);
    const { bytes } = await exchange.body();
    const { inputs, form } = await readingBody(bytes, readPredict(bytes, { inputs: specs, jsonElements }));
    const { outputs } = await predict({
      ...target,
      inputs,
      id: requestId(exchange.headers),
      owned: true,
      recipient: exchange,
      expecting: (declared) => checkExpectedOutputs(declared, jsonElements),
    });
    return predictAnswer(outputs, form, jsonElements);
  };
}

type ExampleScores = Awaited<ReturnType<typeof exampleScores>>;

/** Runs the model on the examples of a request. */
function scoring(deps: DialectDeps, answer: (scores: ExampleScores) => ReturnType<Handler>): Handler {
  const { models, predict, repository, jsonElements } = deps;
  return async (exchange) => {
    const target = targetOf(deps, exchange.params);
    const { inputs: specs } = models.find(target.model, target.version);
    const { bytes } = await exchange.body();
    const inputs = await readingBody(bytes, readExamples(bytes, { inputs: specs, jsonElements }));
    const { outputs, target: ran } = await predict({
      ...target,
      inputs,
      id: requestId(exchange.headers),
      owned: true,
      recipient: exchange,
      expecting: (declared) => checkExpectedOutputs(declared, jsonElements),
    });
    return answer(exampleScores(outputs, (output) => repository.classNames(target.model, output, ran.version)));
  };
}

function classifyHandler(deps: DialectDeps): Handler {
  return scoring(deps, (scores) => classificationAnswer(scores, deps.jsonElements));
}

function regressHandler(deps: DialectDeps): Handler {
  return scoring(deps, (scores) => regressionAnswer(scores, deps.jsonElements));
}

function statusHandler(deps: DialectDeps): Handler {
  return ({ params }) => {
    const { model, version } = targetOf(deps, params);
    return jsonAnswer(modelStatus(deps, model, version));
  };
}

function metadataHandler(deps: DialectDeps): Handler {
  return ({ params }) => {
    const { model, version } = targetOf(deps, params);
    return jsonAnswer(modelMetadata(deps.models.find(model, version)));
  };
}
