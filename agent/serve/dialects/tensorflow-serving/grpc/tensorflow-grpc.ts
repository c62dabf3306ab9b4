import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { inTurns } from '#shared/kernel/turns.js';
import { encode } from '#shared/protobuf/encode.js';
import { fromJson } from '#shared/protobuf/json.js';
import type { MessageOf } from '#shared/protobuf/schema.js';
import { namedTensors, type NamedTensors, type Tensor } from '#shared/tensor/tensor.js';
import type { DialectDeps } from '../../../dialect.js';
import { type GrpcApi, type GrpcExchange, type GrpcMethod, unary } from '../../../grpc/grpc-api.js';
import { modelMetadata } from '../model-metadata.js';
import { modelStatus } from '../model-status.js';
import { checkSignature, SERVING_DEFAULT } from '../signature-name.js';
import { classify, multiInference, regress } from './grpc-examples.js';
import { type Spec, targetOf } from './model-spec.js';
import { reloadConfig } from './reload-config.js';
import { MODEL_SERVICE, PREDICTION_SERVICE, SERVING_PROTO, SIGNATURE_MAP, STATUS_RESPONSE } from './serving-proto.js';
import { readTensorProto, tensorProto } from './tensor-proto.js';

type PredictRequest = MessageOf<(typeof PREDICTION_SERVICE)['rpcs']['Predict']['request']>;

const SIGNATURE_FIELD = 'signature_def';

const namedBy = ({ model_spec: spec }: { readonly model_spec: Spec }): string => spec?.name ?? '';

/** TensorFlow Serving's gRPC API: predictions, metadata, status, and which models are served. */
export function tensorflowGrpc(deps: DialectDeps): GrpcApi {
  return {
    services: [
      { service: PREDICTION_SERVICE, methods: predictionMethods(deps) },
      { service: MODEL_SERVICE, methods: modelMethods(deps) },
    ],
    protos: [SERVING_PROTO],
  };
}

function predictionMethods(deps: DialectDeps): Record<keyof (typeof PREDICTION_SERVICE)['rpcs'], GrpcMethod> {
  return {
    Predict: unary(PREDICTION_SERVICE.rpcs.Predict, {
      call: 'inference',
      model: namedBy,
      answer: (request, exchange) => predict(deps, request, exchange),
    }),
    Classify: unary(PREDICTION_SERVICE.rpcs.Classify, {
      call: 'inference',
      model: namedBy,
      answer: (request, exchange) => classify(deps, request, exchange),
    }),
    Regress: unary(PREDICTION_SERVICE.rpcs.Regress, {
      call: 'inference',
      model: namedBy,
      answer: (request, exchange) => regress(deps, request, exchange),
    }),
    MultiInference: unary(PREDICTION_SERVICE.rpcs.MultiInference, {
      call: 'inference',
      model: ({ tasks: [first] }) => first?.model_spec?.name ?? '',
      answer: (request, exchange) => multiInference(deps, request, exchange),
    }),
    GetModelMetadata: unary(PREDICTION_SERVICE.rpcs.GetModelMetadata, {
      call: 'metadata',
      model: namedBy,
      answer: ({ model_spec: spec, metadata_field: fields }) => {
        const other = fields.find((field) => field !== SIGNATURE_FIELD);
        if (other !== undefined || fields.length === 0) {
          throw new SkerryError(
            'SERVE_REQUEST',
            `metadata_field must be ["${SIGNATURE_FIELD}"], it has ${JSON.stringify(other?.slice(0, 64) ?? '')}`,
          );
        }
        return metadata(deps, spec);
      },
    }),
  };
}

function modelMethods(deps: DialectDeps): Record<keyof (typeof MODEL_SERVICE)['rpcs'], GrpcMethod> {
  return {
    GetModelStatus: unary(MODEL_SERVICE.rpcs.GetModelStatus, {
      call: 'metadata',
      model: namedBy,
      answer: ({ model_spec: spec }) => {
        const { model: name, version } = targetOf(deps, spec);
        return fromJson(STATUS_RESPONSE, modelStatus(deps, name, version));
      },
    }),
    HandleReloadConfigRequest: unary(MODEL_SERVICE.rpcs.HandleReloadConfigRequest, {
      call: 'repository',
      answer: async ({ config }) => {
        await reloadConfig(deps, config);
        return { status: {} };
      },
    }),
  };
}

async function predict(deps: DialectDeps, request: PredictRequest, exchange: GrpcExchange) {
  checkSignature(request.model_spec?.signature_name ?? '');
  const named = targetOf(deps, request.model_spec);
  // A model that is not there is told before what is wrong with its inputs.
  deps.models.find(named.model, named.version);
  const { outputs, target } = await deps.predict({
    ...named,
    inputs: await inTurns(readInputs(request)),
    outputs: request.output_filter.length === 0 ? undefined : [...new Set(request.output_filter)],
    timeout: exchange.timeLeft(),
    owned: exchange.owned,
    recipient: exchange,
  });
  return {
    outputs: new Map(Object.entries(outputs).map(([name, tensor]) => [name, tensorProto(tensor, `output ${JSON.stringify(name)}`)])),
    model_spec: { name: target.model, version: { value: target.version }, signature_name: SERVING_DEFAULT },
  };
}

function* readInputs({ inputs }: PredictRequest): Generator<void, NamedTensors> {
  const tensors: (readonly [string, Tensor])[] = [];
  let bytes = 0;
  for (const [name, message] of inputs) {
    const tensor = yield* readTensorProto(message, `input ${JSON.stringify(name)}`);
    bytes += tensor.data.byteLength;
    if (bytes > LIMITS.inferBodyBytes) throw new SkerryError('INPUT_TOO_LARGE', `the inputs have more than ${LIMITS.inferBodyBytes} bytes`);
    tensors.push([name, tensor]);
  }
  return namedTensors(tensors);
}

function metadata(deps: DialectDeps, spec: Spec) {
  const { model, version } = targetOf(deps, spec);
  const found = deps.models.find(model, version);
  const signatures = encode(SIGNATURE_MAP, fromJson(SIGNATURE_MAP, modelMetadata(found).metadata.signature_def));
  const wrapped = { type_url: `type.googleapis.com/${SIGNATURE_MAP.name}`, value: signatures };
  return { model_spec: { name: model, version: { value: found.version } }, metadata: new Map([[SIGNATURE_FIELD, wrapped]]) };
}
