import type { InferReply } from '#agent/inference/contract.js';
import { atOnce, inTurns } from '#shared/kernel/turns.js';
import type { MODEL_INFER_RESPONSE } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { MessageInit } from '#shared/protobuf/schema.js';
import { toBinary } from '#shared/tensor/binary.js';
import type { DialectDeps } from '../../../dialect.js';
import type { GrpcExchange } from '../../../grpc/grpc-api.js';
import { predictOip } from '../oip-infer.js';
import { KEY_FIELD, readKey } from '../oip-request.js';
import { type AnsweredOutput, answeredOutputs } from '../oip-response.js';
import { type ModelInferRequest, readInferRequest } from './grpc-infer-request.js';
import { namedTarget } from './grpc-target.js';

export type ModelInferResponse = MessageInit<typeof MODEL_INFER_RESPONSE>;

/** Data up to which a request is read in one go: some hundred microseconds of work. */
const AT_ONCE_BYTES = 64 * 1024;

/** "ModelInfer". Outputs always come as raw contents, in the order in which the model declares them. */
export async function infer(deps: DialectDeps, message: ModelInferRequest, exchange: GrpcExchange): Promise<ModelInferResponse> {
  const target = namedTarget(message.model_name, message.model_version);
  const work = readInferRequest(message);
  const request = sizeOf(message) > AT_ONCE_BYTES ? await inTurns(work) : atOnce(work);
  const { reply, ...answering } = await predictOip(deps, target, request, {
    key: readKey(exchange.header(KEY_FIELD)),
    timeout: exchange.timeLeft(),
    owned: exchange.owned,
    recipient: exchange,
  });
  return responseOf(message, reply, await answeredOutputs(request, reply, answering));
}

function responseOf({ id }: ModelInferRequest, { target }: InferReply, outputs: readonly AnsweredOutput[]): ModelInferResponse {
  return {
    model_name: target.model,
    model_version: String(target.version),
    id,
    outputs: outputs.map(({ name, tensor: { datatype, shape } }) => ({ name, datatype, shape })),
    // An output in shared memory has an entry as well: clients count entries.
    raw_output_contents: outputs.map(({ tensor, form }) => (form === 'shared memory' ? NOTHING : toBinary(tensor))),
  };
}

const NOTHING = new Uint8Array();

function sizeOf({ inputs, raw_input_contents: raw }: ModelInferRequest): number {
  const typed = inputs.reduce((sum, { contents }) => sum + (contents?.byteLength ?? 0), 0);
  return raw.reduce((sum, { byteLength }) => sum + byteLength, typed);
}
