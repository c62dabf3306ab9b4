import type { InferReply, ServableStatus } from '#agent/inference/contract.js';
import { toBinary } from '#shared/tensor/binary.js';
import { toJson } from '#shared/tensor/json.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import type { OipRequest } from './oip-request.js';

/** An answer ready to be written. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: readonly (string | Uint8Array)[];
}

export function jsonAnswer(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: [JSON.stringify(value)] };
}

/** "Inference Response JSON Object", followed by the data of outputs that were asked for as binary. */
export function inferAnswer(request: OipRequest, reply: InferReply): Answer {
  const binaries: Uint8Array[] = [];
  const wanted = request.outputs ?? Object.keys(reply.outputs).map((name) => ({ name, binary: request.binaryOutput }));
  const outputs = wanted.flatMap(({ name, binary }): readonly object[] => {
    const tensor = reply.outputs[name];
    if (tensor === undefined) return [];
    const head = { name, datatype: tensor.datatype, shape: tensor.shape };
    if (!binary) return [{ ...head, data: toJson(tensor, `output ${JSON.stringify(name)}`) }];
    const data = toBinary(tensor);
    binaries.push(data);
    return [{ ...head, parameters: { binary_data_size: data.byteLength } }];
  });
  const document = {
    model_name: reply.model,
    model_version: String(reply.version),
    ...(request.id === undefined ? {} : { id: request.id }),
    outputs,
  };
  if (binaries.length === 0) return jsonAnswer(document);
  const head = Buffer.from(JSON.stringify(document));
  return {
    status: 200,
    headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(head.byteLength) },
    body: [head, ...binaries],
  };
}

/** "Model Metadata Response JSON Object". */
export function modelMetadata(status: ServableStatus, versions: readonly number[]): Readonly<Record<string, unknown>> {
  const describe = ({ name, datatype, shape }: TensorSpec): TensorSpec => ({ name, datatype, shape });
  return {
    name: status.model,
    versions: versions.map(String),
    platform: 'onnxruntime_onnx',
    inputs: status.inputs.map(describe),
    outputs: status.outputs.map(describe),
  };
}
