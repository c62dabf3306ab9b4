import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { atOnce, inTurns } from '#shared/kernel/turns.js';
import { fromBinary, isView } from '#shared/tensor/binary.js';
import { type NamedTensors, namedTensors, type TensorSpec } from '#shared/tensor/tensor.js';
import type { InferReply } from '#agent/inference/contract.js';
import type { DialectDeps } from '../../dialect.js';
import type { Handler } from '../../http/exchange.js';
import { namedModel } from '../../named.js';
import type { PredictRequest } from '../../predictions.js';
import { KnownHeads } from './known-heads.js';
import { rawRequest } from './oip-raw.js';
import { HEADER_LENGTH_FIELD, KEY_FIELD, type OipRequest, headLength, parseInferRequest, readKey, withTensors } from './oip-request.js';
import { type AnswerDeps, checkExpected, inferAnswer } from './oip-response.js';

/** Body up to which a request is read in one go: some hundred microseconds of work. */
const AT_ONCE_BYTES = 64 * 1024;

/** `POST .../infer`. */
export function inferHandler(deps: DialectDeps): Handler {
  const { jsonElements } = deps;
  const heads = new KnownHeads();
  return async (exchange) => {
    const { model, version } = namedModel(exchange.params);
    const header = exchange.headers[HEADER_LENGTH_FIELD];
    const { bytes, owned } = await exchange.body(undefined, alignedAt(header));
    const parsed =
      header === '0'
        ? rawRequest(bytes, deps.models.find(model, version), isBatched(deps, model, version))
        : await parse(bytes, typeof header === 'string' ? header : undefined, { heads, jsonElements });
    const predicted = await predictOip(deps, { model, version }, parsed, {
      key: readKey(exchange.headers[KEY_FIELD]),
      owned,
      recipient: exchange,
      expecting: (outputs) => checkExpected(parsed, outputs, jsonElements),
    });
    return inferAnswer(parsed, predicted.reply, predicted, jsonElements);
  };
}

/** Model and version as a request names them. */
interface Target {
  readonly model: ModelName;
  readonly version: VersionNumber | undefined;
}

/** What comes of the transport: `key` counts where the request has none. */
type Carried = Pick<PredictRequest, 'key' | 'timeout' | 'owned' | 'recipient' | 'expecting'>;

/** Asks for the prediction of a request that was read. Gives the reply, and what its answer needs besides. */
export function predictOip(deps: DialectDeps, target: Target, request: OipRequest, carried: Carried): Promise<Predicted> {
  if (request.regions.length === 0) return predictWith(deps, target, request, carried, request.inputs);
  return predictFromRegions(deps, target, request, carried);
}

async function predictFromRegions(deps: DialectDeps, target: Target, request: OipRequest, carried: Carried): Promise<Predicted> {
  const release = deps.memory.hold(bytesOfRegions(request));
  try {
    return await predictWith(deps, target, request, carried, await withRegions(request, deps));
  } finally {
    release();
  }
}

type Predicted = AnswerDeps & { readonly reply: InferReply };

async function predictWith(
  deps: DialectDeps,
  { model, version }: Target,
  { id, key: own, outputs, priority, sequence, timeout }: OipRequest,
  carried: Carried,
  inputs: NamedTensors,
): Promise<Predicted> {
  let declared: readonly TensorSpec[] = [];
  const reply = await deps.predict({
    timeout: carried.timeout,
    owned: carried.owned,
    recipient: carried.recipient,
    model,
    version,
    inputs,
    id,
    key: own ?? carried.key,
    outputs: outputs?.map((output) => output.name),
    priority,
    queueTimeout: timeout,
    sequence,
    expecting: (expected) => {
      declared = expected;
      carried.expecting?.(expected);
    },
  });
  const { version: answering } = reply.target;
  const classesOf = (output: string) => ({
    batched: isBatched(deps, model, answering),
    names: deps.repository.classNames(model, output, answering),
  });
  return { reply, declared, classesOf, sharedMemory: deps.sharedMemory };
}

/** What the inputs of a request take that lie in shared memory, which it may name many times. Errors: `INPUT_TOO_LARGE`. */
function bytesOfRegions({ regions }: OipRequest): number {
  const bytes = regions.reduce((sum, { place }) => sum + place.byteSize, 0);
  if (bytes <= LIMITS.regionBytes) return bytes;
  throw new SkerryError('INPUT_TOO_LARGE', `the inputs in shared memory have ${bytes} bytes; one request may take ${LIMITS.regionBytes}`);
}

function parse(
  bytes: Buffer,
  headerLength: string | undefined,
  { heads, jsonElements }: { readonly heads: KnownHeads; readonly jsonElements: number },
): Promise<OipRequest> | OipRequest {
  const length = headLength(headerLength, bytes.byteLength);
  const head = length < bytes.byteLength ? heads.read(bytes.subarray(0, length)) : undefined;
  const work =
    head === undefined ? parseInferRequest(bytes, headerLength, jsonElements) : withTensors(head, bytes.subarray(length), jsonElements);
  // Most tensors behind a JSON part are views, whatever their size.
  const isQuick = bytes.byteLength <= AT_ONCE_BYTES || head?.described.every(({ datatype }) => isView(datatype)) === true;
  return isQuick ? atOnce(work) : inTurns(work);
}

/** Where the data of tensors begins, as far as a header says so; what it says is checked once the body is there. */
function alignedAt(header: string | string[] | undefined): number {
  const length = Number(header);
  return Number.isSafeInteger(length) && length > 0 ? length : 0;
}

/** Whether the first dimension of its tensors is that of a batch, as its configuration says. */
function isBatched({ repository }: DialectDeps, model: ModelName, version: VersionNumber | undefined): boolean {
  const { max_batch_size: size } = repository.config(model, version);
  return typeof size === 'number' && size > 0;
}

/** The inputs of a request, those in shared memory read. */
async function withRegions({ inputs, regions }: OipRequest, { sharedMemory }: DialectDeps): Promise<NamedTensors> {
  const read = regions.map(async ({ name, datatype, shape, place }) => {
    const bytes = await sharedMemory.read(place.region, place.offset, place.byteSize);
    return [name, fromBinary(datatype, shape, bytes, `input ${JSON.stringify(name)}`)] as const;
  });
  return namedTensors([...Object.entries(inputs), ...(await Promise.all(read))]);
}
