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
  /** How an output is classified. */
  readonly classesOf: (output: string) => Omit<ClassificationOptions, 'count'>;
  readonly sharedMemory: Pick<SharedMemory, 'write'>;
}

/**
 * "Inference Response JSON Object", followed by the data of outputs that were asked for as binary. More than `jsonElements` in JSON
 * are `SERVE_JSON_TOO_LARGE`; a large answer in JSON alone is written piece by piece while it is sent. What is small is there at once.
 */
export function inferAnswer(
  request: OipRequest,
  reply: InferReply,
  deps: AnswerDeps,
  jsonElements: number,
): Promise<HttpAnswer> | HttpAnswer {
  const outputs = answeredOutputs(request, reply, deps);
  const answer = (answered: readonly AnsweredOutput[]): Promise<HttpAnswer> | HttpAnswer => {
    const json = new JsonAllowance(jsonElements);
    let bytes = 0;
    for (const { name, tensor, form } of answered) {
      if (form !== 'json') continue;
      takeOutput(json, name, tensor.shape);
      bytes += tensor.data.byteLength;
    }
    if (json.taken > AT_ONCE_ELEMENTS || bytes > AT_ONCE_BYTES) return largeAnswer(request, reply, answered);
    for (const { name, tensor, form } of answered) if (form === 'json') atOnce(checkJson(tensor, `output ${JSON.stringify(name)}`));
    let document = '';
    for (const piece of documentPieces(request, reply, answered)) document += piece;
    const isJson = answered.every(({ form }) => form !== 'binary');
    return isJson ? { status: 200, headers: JSON_HEADERS, body: [document] } : withBinaries([Buffer.from(document)], answered);
  };
  return outputs instanceof Promise ? outputs.then(answer) : answer(outputs);
}

const JSON_HEADERS = { 'content-type': 'application/json' };

/** An answer with much in JSON: written in turns with other work. */
async function largeAnswer(request: OipRequest, reply: InferReply, outputs: readonly AnsweredOutput[]): Promise<HttpAnswer> {
  for (const { name, tensor, form } of outputs) {
    if (form === 'json') await run(checkJson(tensor, `output ${JSON.stringify(name)}`), tensor.data.byteLength);
  }
  const pieces = documentPieces(request, reply, outputs);
  if (outputs.every(({ form }) => form !== 'binary')) return { status: 200, headers: JSON_HEADERS, body: piecesInTurns(pieces) };
  const head: Buffer[] = [];
  for await (const piece of piecesInTurns(pieces)) head.push(Buffer.from(piece));
  return withBinaries(head, outputs);
}

/** "Binary Tensor Data": the JSON part, and the data of tensors behind it. */
function withBinaries(head: readonly Buffer[], outputs: readonly AnsweredOutput[]): HttpAnswer {
  const length = head.reduce((sum, part) => sum + part.byteLength, 0);
  const body: Uint8Array[] = [...head];
  for (const { tensor, form } of outputs) if (form === 'binary') body.push(toBinary(tensor));
  return {
    status: 200,
    headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(length) },
    body,
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
export function answeredOutputs(
  request: Pick<OipRequest, 'outputs' | 'binaryOutput'>,
  reply: InferReply,
  deps: AnswerDeps,
): Promise<readonly AnsweredOutput[]> | readonly AnsweredOutput[] {
  const answered: AnsweredOutput[] = [];
  const others: Promise<void>[] = [];
  for (const { name } of deps.declared) {
    const wish = request.outputs === undefined ? allOf(name, request) : request.outputs.find((output) => output.name === name);
    const tensor = wish === undefined ? undefined : tensorNamed(reply.outputs, name);
    if (wish === undefined || tensor === undefined) continue;
    const at = answered.push({ name, tensor, form: wish.binary ? 'binary' : 'json' }) - 1;
    if (wish.classes !== undefined || wish.place !== undefined) {
      others.push(otherOutput(wish, tensor, deps).then((output) => void (answered[at] = output)));
    }
  }
  return others.length === 0 ? answered : Promise.all(others).then(() => answered);
}

function allOf(name: string, { binaryOutput }: Pick<OipRequest, 'binaryOutput'>): OutputWish {
  return { name, binary: binaryOutput, classes: undefined, place: undefined };
}

/** An output that is classified, or goes to shared memory. */
async function otherOutput(
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

function* documentPieces(
  { id }: OipRequest,
  { target: { model, version } }: InferReply,
  outputs: readonly AnsweredOutput[],
): Generator<string, void> {
  const named = id === undefined ? '' : `,"id":${JSON.stringify(id)}`;
  yield `{"model_name":${JSON.stringify(model)},"model_version":"${version}"${named},"outputs":[`;
  let comma = '';
  for (const { name, tensor, form } of outputs) {
    const { datatype, shape, data } = tensor;
    const described = `${comma}{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape.join(',')}]`;
    comma = ',';
    if (form === 'shared memory') {
      yield `${described}}`;
    } else if (form === 'binary') {
      yield `${described},"parameters":{"binary_data_size":${data.byteLength}}}`;
    } else {
      yield `${described},"data":`;
      yield* jsonPieces(tensor);
      yield '}';
    }
  }
  yield ']}';
}

function run<T>(work: Generator<void, T>, bytes: number): Promise<T> | T {
  return bytes > AT_ONCE_BYTES ? inTurns(work) : atOnce(work);
}
