import type { InferReply } from '#agent/inference/contract.js';
import { inTurns, atOnce } from '#shared/kernel/turns.js';
import { hasCode, type SkerryError } from '#shared/kernel/errors.js';
import type { MODEL_INFER_RESPONSE } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { MessageInit } from '#shared/protobuf/schema.js';
import { toBinary } from '#shared/tensor/binary.js';
import { tensorNamed } from '#shared/tensor/tensor.js';
import type { DialectDeps } from '../../../dialect.js';
import type { GrpcExchange } from '../../../grpc/grpc-api.js';
import { KEY_FIELD, readKey } from '../oip-request.js';
import { type ModelInferRequest, readInputs, readOptions } from './grpc-infer-request.js';
import { namedTarget } from './grpc-target.js';

export type ModelInferResponse = MessageInit<typeof MODEL_INFER_RESPONSE>;

/** Data up to which a request is read in one go: some hundred microseconds of work. */
const AT_ONCE_BYTES = 64 * 1024;

/** "ModelInfer". Outputs always come as raw contents, in the order in which the model declares them. */
export async function infer(deps: DialectDeps, request: ModelInferRequest, exchange: GrpcExchange): Promise<ModelInferResponse> {
  const { model, version } = namedTarget(request.model_name, request.model_version);
  const options = readOptions(request);
  const work = readInputs(request);
  const inputs = sizeOf(request) > AT_ONCE_BYTES ? await inTurns(work) : atOnce(work);
  let declared: readonly string[] = [];
  const reply = await deps.predict({
    ...options,
    model,
    version,
    inputs,
    key: options.key ?? readKey(exchange.header(KEY_FIELD)),
    timeout: patience(options.timeout, exchange.timeLeft()),
    owned: exchange.owned,
    abandoned: () => exchange.abandoned(),
    expecting: (outputs) => {
      declared = outputs.map(({ name }) => name);
    },
  });
  return responseOf(request, reply, declared);
}

function responseOf({ id }: ModelInferRequest, { target, outputs }: InferReply, declared: readonly string[]): ModelInferResponse {
  const answered = declared.flatMap((name) => {
    const tensor = tensorNamed(outputs, name);
    return tensor === undefined ? [] : [{ name, tensor }];
  });
  return {
    model_name: target.model,
    model_version: String(target.version),
    id,
    outputs: answered.map(({ name, tensor: { datatype, shape } }) => ({ name, datatype, shape })),
    raw_output_contents: answered.map(({ tensor }) => toBinary(tensor)),
  };
}

/** The shorter of what the request and its deadline allow. */
function patience(asked: number | undefined, left: number | undefined): number | undefined {
  if (asked === undefined || left === undefined) return asked ?? left;
  return Math.min(asked, left);
}

function sizeOf({ inputs, raw_input_contents: raw }: ModelInferRequest): number {
  const typed = inputs.reduce((sum, { contents }) => sum + (contents?.byteLength ?? 0), 0);
  return raw.reduce((sum, { byteLength }) => sum + byteLength, typed);
}

/** True for what stands for "not there" where a client asks whether something is ready. */
export function isAbsence(cause: unknown): cause is SkerryError {
  return hasCode(cause, 'INFERENCE_MODEL_UNKNOWN') || hasCode(cause, 'INFERENCE_VERSION_UNKNOWN') || hasCode(cause, 'INFERENCE_NOT_READY');
}
