import { SkerryError } from '#shared/kernel/errors.js';
import { inTurns } from '#shared/kernel/turns.js';
import type { MessageInit, MessageOf } from '#shared/protobuf/schema.js';
import type { DialectDeps } from '../../../dialect.js';
import type { GrpcExchange } from '../../../grpc/grpc-api.js';
import { type ExampleScores, exampleScores } from '../example-scores.js';
import { checkSignature, SERVING_DEFAULT } from '../signature-name.js';
import { inputsOfExamples } from './example-inputs.js';
import { type Spec, targetOf } from './model-spec.js';
import { classificationResult, regressionResult } from './scores-messages.js';
import type { PREDICTION_SERVICE } from './serving-proto.js';

type Rpcs = (typeof PREDICTION_SERVICE)['rpcs'];
type MultiRequest = MessageOf<Rpcs['MultiInference']['request']>;
type MultiResult = NonNullable<MessageInit<Rpcs['MultiInference']['answer']>['results']>[number];

/** What Classify and Regress have. */
interface ExamplesRequest {
  readonly model_spec: Spec;
  readonly input: Uint8Array | undefined;
}

export async function classify(deps: DialectDeps, request: ExamplesRequest, exchange: GrpcExchange) {
  const { scores, spec } = await scored(deps, request, exchange);
  return { result: await inTurns(classificationResult(scores())), model_spec: spec };
}

export async function regress(deps: DialectDeps, request: ExamplesRequest, exchange: GrpcExchange) {
  const { scores, spec } = await scored(deps, request, exchange);
  return { result: await inTurns(regressionResult(scores())), model_spec: spec };
}

/** What a task asks for, by the name that clients know it by. */
const METHODS: Readonly<Record<string, (scores: ExampleScores) => Promise<Omit<MultiResult, 'model_spec'>>>> = {
  'tensorflow/serving/classify': async (scores) => ({ classification_result: await inTurns(classificationResult(scores)) }),
  'tensorflow/serving/regress': async (scores) => ({ regression_result: await inTurns(regressionResult(scores)) }),
};

/** "MultiInference": the model runs once, since it has one signature, and each task gets its form of the scores. */
export async function multiInference(deps: DialectDeps, { tasks, input }: MultiRequest, exchange: GrpcExchange) {
  const [first] = tasks;
  if (first === undefined) throw new SkerryError('SERVE_REQUEST', 'the request has no tasks');
  const asked = new Set<string>();
  for (const { model_spec: spec, method_name: method } of tasks) {
    if (!Object.hasOwn(METHODS, method)) {
      const known = Object.keys(METHODS).join(', ');
      throw new SkerryError('SERVE_REQUEST', `a task has the method_name ${JSON.stringify(method.slice(0, 128))}; known are ${known}`);
    }
    if (asked.has(method)) throw new SkerryError('SERVE_REQUEST', `two tasks have the method_name ${method}`);
    asked.add(method);
    checkSignature(spec?.signature_name ?? '');
    if (!isSame(spec, first.model_spec)) {
      throw new SkerryError('SERVE_REQUEST', 'all tasks of a request must have the same model name and version');
    }
  }
  const { scores, spec } = await scored(deps, { model_spec: first.model_spec, input }, exchange);
  const results: MultiResult[] = [];
  for (const method of asked) {
    // Names of classes are read from the first score on.
    const result = await METHODS[method]?.(scores());
    results.push({ model_spec: spec, ...result });
  }
  return { results };
}

function isSame(one: Spec, other: Spec): boolean {
  return one?.name === other?.name && one?.version?.value === other?.version?.value && one?.version_label === other?.version_label;
}

/** Runs the model on the examples of a request. Each call of `scores` gives them anew. */
async function scored(deps: DialectDeps, { model_spec: asked, input }: ExamplesRequest, exchange: GrpcExchange) {
  checkSignature(asked?.signature_name ?? '');
  const named = targetOf(deps, asked);
  const { inputs: specs } = deps.models.find(named.model, named.version);
  const { outputs, target } = await deps.predict({
    ...named,
    inputs: await inTurns(inputsOfExamples(input ?? NOTHING, specs)),
    timeout: exchange.timeLeft(),
    owned: true,
    recipient: exchange,
  });
  const spec = { name: target.model, version: { value: target.version }, signature_name: SERVING_DEFAULT };
  const names = (output: string): readonly string[] | undefined => deps.repository.classNames(target.model, output, target.version);
  return { scores: () => exampleScores(outputs, names), spec };
}

const NOTHING = new Uint8Array();
