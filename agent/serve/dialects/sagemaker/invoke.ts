import type { ModelName } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import type { DialectDeps } from '../../dialect.js';
import { readCsv } from '../../frames/csv.js';
import { inputsOfFrame } from '../../frames/frame.js';
import type { Exchange, Handler, HttpAnswer } from '../../http/exchange.js';
import { JsonAllowance } from '../../json/json-allowance.js';
import { checkExpectedOutputs, nestedAnswer } from '../../json/nested-answer.js';
import { readingBody } from '../../json/python-json.js';
import { requestId } from '../../request-id.js';

/** Triton's type for JSON that is followed by binary tensors; a parameter says how long the JSON is. */
const BINARY_TYPE = 'application/vnd.sagemaker-triton.binary+json';
const JSON_LENGTH_FIELD = 'inference-header-content-length';

/** One prediction, in the form that the content type says. Errors: `SERVE_CONTENT_TYPE`, and those of the form. */
export async function invoke(deps: DialectDeps, infer: Handler, exchange: Exchange, model: ModelName): Promise<HttpAnswer> {
  // A model that is not loaded is that before anything else: SageMaker loads it then.
  deps.models.find(model);
  const [type = '', ...parameters] = (exchange.headers['content-type'] ?? '').split(';').map((part) => part.trim().toLowerCase());
  if (type === 'text/csv') return invokeCsv(deps, exchange, model);
  if (type === BINARY_TYPE) {
    const size = parameters.find((parameter) => parameter.startsWith('json-header-size='))?.slice('json-header-size='.length);
    const headers = size === undefined ? exchange.headers : { ...exchange.headers, [JSON_LENGTH_FIELD]: size };
    return asBinary(await infer(asked(exchange, model, headers)));
  }
  if (['', 'application/json', 'application/octet-stream'].includes(type)) return infer(asked(exchange, model, exchange.headers));
  const found = JSON.stringify(type.slice(0, 64));
  throw new SkerryError(
    'SERVE_CONTENT_TYPE',
    `the content type is ${found}; application/json, application/octet-stream, text/csv and ${BINARY_TYPE} are read`,
  );
}

function asked(exchange: Exchange, model: ModelName, headers: Exchange['headers']): Exchange {
  return {
    params: { model },
    query: exchange.query,
    headers,
    body: (limit) => exchange.body(limit),
    abandoned: () => exchange.abandoned(),
    onAbandoned: (listener) => exchange.onAbandoned(listener),
  };
}

function asBinary(answer: HttpAnswer): HttpAnswer {
  const { [JSON_LENGTH_FIELD]: size, ...headers } = answer.headers;
  return size === undefined ? answer : { ...answer, headers: { ...headers, 'content-type': `${BINARY_TYPE};json-header-size=${size}` } };
}

async function invokeCsv({ models, predict, jsonElements }: DialectDeps, exchange: Exchange, model: ModelName): Promise<HttpAnswer> {
  const { inputs: specs } = models.find(model);
  const { bytes } = await exchange.body();
  const { outputs } = await predict({
    model,
    inputs: await readingBody(bytes, readRows(bytes, specs, jsonElements)),
    id: requestId(exchange.headers),
    owned: true,
    recipient: exchange,
    expecting: (declared) => checkExpectedOutputs(declared, jsonElements),
  });
  return nestedAnswer(outputs, { member: 'predictions', headers: { 'content-type': 'application/json' }, jsonElements });
}

/** SageMaker's CSV has no line of names: its values are the rows of an only input. */
function* readRows(bytes: Uint8Array, inputs: readonly TensorSpec[], jsonElements: number): Generator<void, NamedTensors> {
  const frame = yield* readCsv(bytes, jsonElements, { named: false });
  return yield* inputsOfFrame(frame, inputs, new JsonAllowance(jsonElements));
}
