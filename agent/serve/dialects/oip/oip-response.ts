import type { InferReply } from '#agent/inference/contract.js';
import { toBinary } from '#shared/tensor/binary.js';
import { atOnce, inTurns, piecesInTurns } from '#shared/kernel/turns.js';
import { checkJson, jsonPieces } from '#shared/tensor/json-write.js';
import { elementCount, formatShape } from '#shared/tensor/shape.js';
import { type Tensor, tensorNamed, type TensorSpec } from '#shared/tensor/tensor.js';
import type { HttpAnswer } from '../../http/exchange.js';
import { JsonAllowance } from '../../json/json-allowance.js';
import type { SharedMemory } from '../../shared-memory/shared-memory.js';
import { type ClassificationOptions, classified } from '../../classification.js';
import type { OutputWish } from './oip-outputs.js';
import type { OipRequest } from './oip-request.js';

/** Elements up to which an answer is written in one go, with its length: some hundred microseconds of work. */
const AT_ONCE_ELEMENTS = 4_096;

/** What an answer needs besides request and reply. */
export interface AnswerDeps {
  /** Outputs as the model declares them, in its order. */
  readonly declared: readonly TensorSpec[];
  readonly jsonElements: number;
  /** How an output is classified. */
  readonly classesOf: (output: string) => Omit<ClassificationOptions, 'count'>;
  readonly sharedMemory: Pick<SharedMemory, 'write'>;
}

/**
 * "Inference Response JSON Object", followed by the data of outputs that were asked for as binary. More than `jsonElements` in JSON
 * are `SERVE_JSON_TOO_LARGE`; a large answer in JSON alone is written piece by piece while it is sent.
 */
export async function inferAnswer(request: OipRequest, reply: InferReply, deps: AnswerDeps): Promise<HttpAnswer> {
  const outputs = await answeredOutputs(request, reply, deps);
  const json = new JsonAllowance(deps.jsonElements);
  for (const { name, tensor, form } of outputs) {
    if (form !== 'json') continue;
    takeOutput(json, name, tensor.shape);
    await run(checkJson(tensor, `output ${JSON.stringify(name)}`), tensor.data.byteLength);
  }
  const binaries = outputs.flatMap(({ tensor, form }) => (form === 'binary' ? [toBinary(tensor)] : []));
  const bytes = outputs.reduce((sum, { tensor, form }) => (form === 'json' ? sum + tensor.data.byteLength : sum), 0);
  const isLarge = json.taken > AT_ONCE_ELEMENTS || bytes > AT_ONCE_BYTES;
  const pieces = documentPieces(request, reply, outputs);
  if (binaries.length === 0) {
    const headers = { 'content-type': 'application/json' };
    return { status: 200, headers, body: isLarge ? piecesInTurns(pieces) : [[...pieces].join('')] };
  }
  const head: Buffer[] = [];
  if (isLarge) for await (const piece of piecesInTurns(pieces)) head.push(Buffer.from(piece));
  else head.push(Buffer.from([...pieces].join('')));
  const length = head.reduce((sum, part) => sum + part.byteLength, 0);
  return {
    status: 200,
    headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(length) },
    body: [...head, ...binaries],
  };
}

const AT_ONCE_BYTES = 64 * 1024;
const ASK_FOR_BINARY = 'Ask for binary data: "parameters": {"binary_data_output": true}';

/** Refuses a request whose answer would be too large, where its declared outputs show that before the model runs. */
export function checkExpected(request: OipRequest, outputs: readonly TensorSpec[], jsonElements: number): void {
  const json = new JsonAllowance(jsonElements);
  for (const { name, shape, anyShape } of outputs) {
    const isKnown = anyShape !== true && !shape.includes(-1);
    if (isKnown && goesAsJson(request, name)) takeOutput(json, name, shape);
  }
}

function goesAsJson({ outputs, binaryOutput }: OipRequest, name: string): boolean {
  if (outputs === undefined) return !binaryOutput;
  return outputs.some((wish) => wish.name === name && !wish.binary && wish.classes === undefined && wish.place === undefined);
}

function takeOutput(json: JsonAllowance, name: string, shape: readonly number[]): void {
  const what = `output ${JSON.stringify(name)}`;
  json.take(elementCount(shape, what), `${what} ${formatShape(shape)}`, ASK_FOR_BINARY);
}

export interface AnsweredOutput {
  readonly name: string;
  readonly tensor: Tensor;
  /** Where its data is. */
  readonly form: 'json' | 'binary' | 'shared memory';
}

/** The outputs of an answer, each once and in the model's order; those for shared memory are written there. */
export async function answeredOutputs(
  request: Pick<OipRequest, 'outputs' | 'binaryOutput'>,
  reply: InferReply,
  deps: Omit<AnswerDeps, 'jsonElements'>,
): Promise<readonly AnsweredOutput[]> {
  const answered: AnsweredOutput[] = [];
  for (const { name } of deps.declared) {
    const wish = request.outputs === undefined ? allOf(name, request) : request.outputs.find((output) => output.name === name);
    const tensor = wish === undefined ? undefined : tensorNamed(reply.outputs, name);
    if (wish !== undefined && tensor !== undefined) answered.push(await answeredOutput(wish, tensor, deps));
  }
  return answered;
}

function allOf(name: string, { binaryOutput }: Pick<OipRequest, 'binaryOutput'>): OutputWish {
  return { name, binary: binaryOutput, classes: undefined, place: undefined };
}

async function answeredOutput(
  { name, binary, classes, place }: OutputWish,
  values: Tensor,
  { classesOf, sharedMemory }: Pick<AnswerDeps, 'classesOf' | 'sharedMemory'>,
): Promise<AnsweredOutput> {
  const tensor =
    classes === undefined ? values : await run(classified(values, name, { count: classes, ...classesOf(name) }), values.data.byteLength);
  if (place === undefined) return { name, tensor, form: binary ? 'binary' : 'json' };
  await sharedMemory.write(place.region, place.offset, place.byteSize, toBinary(tensor));
  return { name, tensor, form: 'shared memory' };
}

function* documentPieces(request: OipRequest, reply: InferReply, outputs: readonly AnsweredOutput[]): Generator<string, void> {
  const head = {
    model_name: reply.target.model,
    model_version: String(reply.target.version),
    ...(request.id === undefined ? {} : { id: request.id }),
  };
  yield `${JSON.stringify(head).slice(0, -1)},"outputs":[`;
  for (const [index, { name, tensor, form }] of outputs.entries()) {
    const described = { name, datatype: tensor.datatype, shape: tensor.shape };
    const comma = index === 0 ? '' : ',';
    if (form === 'shared memory') {
      yield comma + JSON.stringify(described);
    } else if (form === 'binary') {
      yield comma + JSON.stringify({ ...described, parameters: { binary_data_size: tensor.data.byteLength } });
    } else {
      yield `${comma}${JSON.stringify(described).slice(0, -1)},"data":`;
      yield* jsonPieces(tensor);
      yield '}';
    }
  }
  yield ']}';
}

function run<T>(work: Generator<void, T>, bytes: number): Promise<T> | T {
  return bytes > AT_ONCE_BYTES ? inTurns(work) : atOnce(work);
}
