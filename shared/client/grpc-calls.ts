import { SkerryError } from '#shared/kernel/errors.js';
import type { Millis } from '#shared/kernel/time.js';
import { decode } from '#shared/protobuf/decode.js';
import { encode } from '#shared/protobuf/encode.js';
import { GRPC_INFERENCE_SERVICE, type INFER_PARAMETER, type MODEL_INFER_RESPONSE } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { FieldTable, MessageInit, MessageOf, MessageType, Rpc } from '#shared/protobuf/schema.js';
import { fromBinary } from '#shared/tensor/binary.js';
import { type Datatype, DATATYPES } from '#shared/tensor/datatype.js';
import { namedTensors, type Tensor } from '#shared/tensor/tensor.js';
import type { CallName, Calls, InferAnswer, InferCall, ModelVersion, Parameter, Parameters } from './calls.js';
import { timeoutParameter } from './oip-body.js';

// Every call as one of the Open Inference Protocol over gRPC.

interface GrpcCall<K extends CallName> {
  readonly method: string;
  readonly write: (sent: Calls[K]['sent'], left: Millis) => Buffer;
  readonly read: (bytes: Uint8Array) => Calls[K]['answer'];
}

const RPCS = GRPC_INFERENCE_SERVICE.rpcs;

interface Form<K extends CallName, Q extends FieldTable, A extends FieldTable> {
  readonly write: (sent: Calls[K]['sent'], left: Millis) => MessageInit<MessageType<Q>>;
  readonly read: (answer: MessageOf<MessageType<A>>) => Calls[K]['answer'];
}

function row<K extends CallName, Q extends FieldTable, A extends FieldTable>(
  name: string,
  { request, answer }: Rpc<MessageType<Q>, MessageType<A>, 'none'>,
  { write, read }: Form<K, Q, A>,
): GrpcCall<K> {
  return {
    method: `/${GRPC_INFERENCE_SERVICE.name}/${name}`,
    write: (sent, left) => encode(request, write(sent, left)),
    read: (bytes) => read(decode(answer, bytes)),
  };
}

/** Left out and empty are one in a message. */
const orNone = (text: string): string | undefined => (text === '' ? undefined : text);
const named = ({ model: name, version = '' }: ModelVersion): { readonly name: string; readonly version: string } => ({ name, version });
const nothing = (): undefined => undefined;

/** One row for each call that the protocol has. */
export const GRPC_CALLS: { readonly [K in CallName]?: GrpcCall<K> } = {
  live: row('ServerLive', RPCS.ServerLive, { write: () => ({}), read: ({ live }) => live }),
  ready: row('ServerReady', RPCS.ServerReady, { write: () => ({}), read: ({ ready }) => ready }),
  modelReady: row('ModelReady', RPCS.ModelReady, { write: named, read: ({ ready }) => ready }),
  server: row('ServerMetadata', RPCS.ServerMetadata, { write: () => ({}), read: (server) => server }),
  metadata: row('ModelMetadata', RPCS.ModelMetadata, {
    write: named,
    read: ({ inputs, outputs, ...model }) => ({ ...model, inputs: inputs.map(specOf), outputs: outputs.map(specOf) }),
  }),
  infer: row('ModelInfer', RPCS.ModelInfer, { write: inferMessage, read: inferAnswer }),
  index: row('RepositoryIndex', RPCS.RepositoryIndex, {
    write: () => ({}),
    read: ({ models }) =>
      models.map(({ name, version, state, reason }) => ({ name, version: orNone(version), state: orNone(state), reason: orNone(reason) })),
  }),
  load: row('RepositoryModelLoad', RPCS.RepositoryModelLoad, {
    write({ model, config, files }) {
      const parameters = new Map<string, { string_param: string } | { bytes_param: Uint8Array }>();
      if (config !== undefined) parameters.set('config', { string_param: config });
      for (const [path, bytes] of Object.entries(files)) parameters.set(`file:${path}`, { bytes_param: bytes });
      return { model_name: model, parameters };
    },
    read: nothing,
  }),
  unload: row('RepositoryModelUnload', RPCS.RepositoryModelUnload, {
    write: ({ model, dependents }) => ({ model_name: model, parameters: new Map([['unload_dependents', { bool_param: dependents }]]) }),
    read: nothing,
  }),
  statistics: row('ModelStatistics', RPCS.ModelStatistics, {
    write: ({ model = '', version }) => named({ model, version }),
    read: ({ model_stats: models }) =>
      models.map((entry) => ({
        name: entry.name,
        version: entry.version,
        inferences: entry.inference_count,
        executions: entry.execution_count,
        lastInference: entry.last_inference,
        durations: Object.fromEntries(
          Object.entries(entry.inference_stats ?? {}).map(([kind, total]) => [kind, total ?? { count: 0, ns: 0 }]),
        ),
      })),
  }),
};

function parameterMessage(value: Parameter): MessageInit<typeof INFER_PARAMETER> {
  if (typeof value === 'string') return { string_param: value };
  if (typeof value === 'boolean') return { bool_param: value };
  return Number.isSafeInteger(value) ? { int64_param: BigInt(value) } : { double_param: value };
}

function parameterMessages(parameters: Parameters): ReadonlyMap<string, MessageInit<typeof INFER_PARAMETER>> {
  return new Map(Object.entries(parameters).map(([name, value]) => [name, parameterMessage(value)]));
}

function inferMessage({ model, version = '', inputs, id = '', outputs = [], parameters }: InferCall, left: Millis) {
  return {
    model_name: model,
    model_version: version,
    id,
    parameters: parameterMessages({ ...parameters, timeout: timeoutParameter(left) }),
    inputs: Object.entries(inputs).map(([name, { datatype, shape }]) => ({ name, datatype, shape })),
    outputs: outputs.map(({ name, parameters: own = {} }) => ({ name, parameters: parameterMessages(own) })),
    raw_input_contents: Object.values(inputs).map(({ data }) => data),
  };
}

function inferAnswer({ outputs, raw_output_contents: raw, ...answer }: MessageOf<typeof MODEL_INFER_RESPONSE>): InferAnswer {
  const tensors = outputs.map(({ name, datatype, shape }, at): [string, Tensor] => {
    const bytes = raw[at];
    if (bytes !== undefined) return [name, fromBinary(datatypeOf(datatype, name), shape, bytes, `output ${JSON.stringify(name)}`)];
    throw new SkerryError('CLIENT_ANSWER', `output ${JSON.stringify(name)} has no raw contents`);
  });
  return { model: answer.model_name, version: answer.model_version, id: orNone(answer.id), outputs: namedTensors(tensors) };
}

function datatypeOf(datatype: string, name: string): Datatype {
  const known = DATATYPES.find((type) => type === datatype);
  if (known !== undefined) return known;
  throw new SkerryError('CLIENT_ANSWER', `${JSON.stringify(name)} has an unknown datatype, ${JSON.stringify(datatype.slice(0, 64))}`);
}

function specOf({ name, datatype, shape }: { readonly name: string; readonly datatype: string; readonly shape: readonly number[] }) {
  return { name, datatype: datatypeOf(datatype, name), shape };
}
