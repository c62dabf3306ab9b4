import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { atOnce, inTurns } from '#shared/kernel/turns.js';
import { fromBinary } from '#shared/tensor/binary.js';
import { type NamedTensors, namedTensors, type TensorSpec } from '#shared/tensor/tensor.js';
import type { InferReply } from '#agent/inference/contract.js';
import type { DialectDeps } from '../../dialect.js';
import type { Handler } from '../../http/exchange.js';
import { namedModel } from '../../named.js';
import type { PredictRequest } from '../../predictions.js';
import { rawRequest } from './oip-raw.js';
import { HEADER_LENGTH_FIELD, KEY_FIELD, type OipRequest, parseInferRequest, readKey } from './oip-request.js';
import { type AnswerDeps, checkExpected, inferAnswer } from './oip-response.js';

/** Body up to which a request is read in one go: some hundred microseconds of work. */
const AT_ONCE_BYTES = 64 * 1024;

/** `POST .../infer`. */
export function inferHandler(deps: DialectDeps): Handler {
  const { jsonElements } = deps;
  return async (exchange) => {
    const { model, version } = namedModel(exchange.params);
    const { bytes, owned } = await exchange.body();
    const header = exchange.headers[HEADER_LENGTH_FIELD];
    const parsed =
      header === '0'
        ? rawRequest(bytes, deps.models.find(model, version), isBatched(deps, model, version))
        : await parse(bytes, typeof header === 'string' ? header : undefined, jsonElements);
    const { reply, ...rest } = await predictOip(deps, { model, version }, parsed, {
      key: readKey(exchange.headers[KEY_FIELD]),
      timeout: parsed.timeout,
      owned,
      abandoned: () => exchange.abandoned(),
      expecting: (outputs) => checkExpected(parsed, outputs, jsonElements),
    });
    return inferAnswer(parsed, reply, { ...rest, jsonElements });
  };
}

/** Model and version as a request names them. */
interface Target {
  readonly model: ModelName;
  readonly version: VersionNumber | undefined;
}

/** What comes of the transport: `key` counts where the request has none. */
type Carried = Pick<PredictRequest, 'key' | 'timeout' | 'owned' | 'abandoned' | 'expecting'>;

/** Asks for the prediction of a request that was read. Gives the reply, and what its answer needs besides. */
export async function predictOip(
  deps: DialectDeps,
  { model, version }: Target,
  request: OipRequest,
  { key, expecting, ...carried }: Carried,
): Promise<Omit<AnswerDeps, 'jsonElements'> & { readonly reply: InferReply }> {
  let declared: readonly TensorSpec[] = [];
  const release = deps.memory.hold(bytesOfRegions(request));
  try {
    const reply = await deps.predict({
      ...carried,
      model,
      version,
      inputs: await withRegions(request, deps),
      id: request.id,
      key: request.key ?? key,
      outputs: request.outputs?.map((output) => output.name),
      priority: request.priority,
      sequence: request.sequence,
      expecting: (outputs) => {
        declared = outputs;
        expecting?.(outputs);
      },
    });
    const { version: answering } = reply.target;
    const classesOf = (output: string) => ({
      batched: isBatched(deps, model, answering),
      names: deps.repository.classNames(model, output, answering),
    });
    return { reply, declared, classesOf, sharedMemory: deps.sharedMemory };
  } finally {
    release();
  }
}

/** What the inputs of a request take that lie in shared memory, which it may name many times. Errors: `INPUT_TOO_LARGE`. */
function bytesOfRegions({ regions }: OipRequest): number {
  const bytes = regions.reduce((sum, { place }) => sum + place.byteSize, 0);
  if (bytes <= LIMITS.regionBytes) return bytes;
  throw new SkerryError('INPUT_TOO_LARGE', `the inputs in shared memory have ${bytes} bytes; one request may take ${LIMITS.regionBytes}`);
}

function parse(bytes: Uint8Array, headerLength: string | undefined, jsonElements: number): Promise<OipRequest> | OipRequest {
  const work = parseInferRequest(bytes, headerLength, jsonElements);
  return bytes.byteLength > AT_ONCE_BYTES ? inTurns(work) : atOnce(work);
}

/** Whether the first dimension of its tensors is that of a batch, as its configuration says. */
function isBatched({ repository }: DialectDeps, model: ModelName, version: VersionNumber | undefined): boolean {
  const { max_batch_size: size } = repository.config(model, version);
  return typeof size === 'number' && size > 0;
}

/** The inputs of a request, those in shared memory read. */
async function withRegions({ inputs, regions }: OipRequest, { sharedMemory }: DialectDeps): Promise<NamedTensors> {
  if (regions.length === 0) return inputs;
  const read = regions.map(async ({ name, datatype, shape, place }) => {
    const bytes = await sharedMemory.read(place.region, place.offset, place.byteSize);
    return [name, fromBinary(datatype, shape, bytes, `input ${JSON.stringify(name)}`)] as const;
  });
  return namedTensors([...Object.entries(inputs), ...(await Promise.all(read))]);
}
