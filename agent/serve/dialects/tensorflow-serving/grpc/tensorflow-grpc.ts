import { localModelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { unknownModel } from '#agent/inference/servables/refusals.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { inTurns } from '#shared/kernel/turns.js';
import { encode } from '#shared/protobuf/encode.js';
import { fromJson } from '#shared/protobuf/json.js';
import type { MessageOf } from '#shared/protobuf/schema.js';
import { namedTensors, type NamedTensors, type Tensor } from '#shared/tensor/tensor.js';
import type { DialectDeps } from '../../../dialect.js';
import { type GrpcApi, type GrpcExchange, unary } from '../../../grpc/grpc-api.js';
import type { namedModel } from '../../../named.js';
import { modelMetadata } from '../model-metadata.js';
import { modelStatus } from '../model-status.js';
import { MODEL_SERVICE, PREDICTION_SERVICE, SERVING_PROTO, SIGNATURE_MAP, STATUS_RESPONSE } from './serving-proto.js';
import { readTensorProto, tensorProto } from './tensor-proto.js';

type PredictRequest = MessageOf<(typeof PREDICTION_SERVICE)['rpcs']['Predict']['request']>;
type Spec = PredictRequest['model_spec'];

const SIGNATURE_FIELD = 'signature_def';
const SERVING_DEFAULT = 'serving_default';

/** TensorFlow Serving's gRPC API: predictions, metadata and status. Its other calls are not there. */
export function tensorflowGrpc(deps: DialectDeps): GrpcApi {
  const model = ({ model_spec: spec }: { readonly model_spec: Spec }): string => spec?.name ?? '';
  const prediction = {
    Predict: unary(PREDICTION_SERVICE.rpcs.Predict, {
      call: 'inference',
      model,
      answer: (request, exchange) => predict(deps, request, exchange),
    }),
    GetModelMetadata: unary(PREDICTION_SERVICE.rpcs.GetModelMetadata, {
      call: 'metadata',
      model,
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
  const status = unary(MODEL_SERVICE.rpcs.GetModelStatus, {
    call: 'metadata',
    model,
    answer: ({ model_spec: spec }) => {
      const { model: name, version } = targetOf(deps, spec);
      return fromJson(STATUS_RESPONSE, modelStatus(deps, name, version));
    },
  });
  return {
    services: [
      { service: PREDICTION_SERVICE, methods: prediction },
      { service: MODEL_SERVICE, methods: { GetModelStatus: status } },
    ],
    protos: [SERVING_PROTO],
  };
}

/** Model and version of a message; a version may be named by a label. */
function targetOf({ repository }: DialectDeps, spec: Spec): ReturnType<typeof namedModel> {
  const model = localModelNameSchema.safeParse(spec?.name);
  if (!model.success) throw unknownModel(spec?.name ?? '');
  const { version, version_label: label } = spec ?? {};
  if (label !== undefined) return { model: model.data, version: repository.labelled(model.data, label) };
  // Clients that always send a version send 0 where any will do.
  if (version === undefined || version.value === 0) return { model: model.data, version: undefined };
  const number = versionNumberSchema.safeParse(version.value);
  if (number.success) return { model: model.data, version: number.data };
  throw new SkerryError('INFERENCE_VERSION_UNKNOWN', `model ${model.data} has no version ${version.value}`);
}

async function predict(deps: DialectDeps, request: PredictRequest, exchange: GrpcExchange) {
  const signature = request.model_spec?.signature_name ?? '';
  if (signature !== '' && signature !== SERVING_DEFAULT) {
    throw new SkerryError('SERVE_REQUEST', `Serving signature name: ${JSON.stringify(signature.slice(0, 128))} not found in signature def`);
  }
  const named = targetOf(deps, request.model_spec);
  // A model that is not there is told before what is wrong with its inputs.
  deps.models.find(named.model, named.version);
  const { outputs, target } = await deps.predict({
    ...named,
    inputs: await inTurns(readInputs(request)),
    outputs: request.output_filter.length === 0 ? undefined : [...new Set(request.output_filter)],
    timeout: exchange.timeLeft(),
    owned: exchange.owned,
    abandoned: () => exchange.abandoned(),
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
