import { hasCode } from '#shared/kernel/errors.js';
import type { GRPC_INFERENCE_SERVICE } from '#shared/protobuf/inference/grpc-service-proto.js';
import { MODEL_CONFIG } from '#shared/protobuf/inference/model-config-proto.js';
import { fromJson } from '#shared/protobuf/json.js';
import type { MessageInit } from '#shared/protobuf/schema.js';
import type { DialectDeps } from '../../../dialect.js';
import { modelMetadata, statisticsDocument } from '../oip-documents.js';
import { namedTarget, versionNamed } from './grpc-target.js';

type Rpcs = (typeof GRPC_INFERENCE_SERVICE)['rpcs'];
type AnswerOf<Name extends keyof Rpcs> = MessageInit<Rpcs[Name]['answer']>;

/** Which model, and perhaps which version of it, a message is about. */
interface Named {
  readonly name: string;
  readonly version: string;
}

/** "ModelReady": a model that is not there is not ready, which is no error. */
export function ready({ models }: DialectDeps, { name, version: text }: Named): AnswerOf<'ModelReady'> {
  const version = versionNamed(text);
  try {
    return { ready: models.find(namedTarget(name, '').model, version).state === 'available' };
  } catch (cause) {
    if (ABSENT.some((code) => hasCode(cause, code))) return { ready: false };
    throw cause;
  }
}

const ABSENT = ['INFERENCE_MODEL_UNKNOWN', 'INFERENCE_VERSION_UNKNOWN', 'INFERENCE_NOT_READY', 'INFERENCE_SERVABLE_FAILED'] as const;

/** "ModelMetadata": of all versions that are available, or of the one named. */
export function metadata({ models }: DialectDeps, { name, version: text }: Named): AnswerOf<'ModelMetadata'> {
  const { model, version } = namedTarget(name, text);
  const status = models.find(model, version);
  const available = models.list().filter((other) => other.model === model && other.state === 'available');
  return modelMetadata(status, version === undefined ? available.map((other) => other.version) : [status.version]);
}

/** "ModelConfig". */
export function config({ repository }: DialectDeps, { name, version: text }: Named): AnswerOf<'ModelConfig'> {
  const { model, version } = namedTarget(name, text);
  return { config: fromJson(MODEL_CONFIG, repository.config(model, version)) };
}

/** "ModelStatistics": of every model where none is named. */
export function statistics({ models }: DialectDeps, { name, version: text }: Named): AnswerOf<'ModelStatistics'> {
  const { model, version } = name === '' ? { model: undefined, version: undefined } : namedTarget(name, text);
  const { model_stats: stats } = statisticsDocument(models.statistics(model, version));
  return { model_stats: stats.map((entry) => ({ ...entry, response_stats: undefined })) };
}
