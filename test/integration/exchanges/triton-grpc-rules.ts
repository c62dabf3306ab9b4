import type { Difference } from './compare.js';
import type { GrpcExchange } from './grpc-replay.js';

/** A way in which we differ on purpose over gRPC: a row of the table in docs/PROTOCOL.md. */
interface GrpcRule {
  readonly what: string;
  readonly reason: string;
  readonly covers: (exchange: GrpcExchange, difference: Difference, lacking: ReadonlySet<string>) => boolean;
}

function modelsOf({ request, requests = [] }: GrpcExchange): readonly string[] {
  return [request ?? {}, ...requests].flatMap((one) => [one['model_name'], one['name']]).filter((name) => typeof name === 'string');
}

const status =
  (theirs: readonly string[], ours: string) =>
  ({ at, theirs: their, ours: our }: Difference): boolean =>
    at === 'status' && theirs.includes(their) && our === ours;

const among =
  (...ids: readonly string[]) =>
  ({ id }: GrpcExchange): boolean =>
    ids.includes(id);

/** How our answers over gRPC differ on purpose from those of Triton. */
export const TRITON_GRPC_RULES: readonly GrpcRule[] = [
  {
    what: 'models that were programs in Python',
    reason: 'No ONNX file does what they do.',
    covers: (exchange, _, lacking) => exchange.python_backend === true || modelsOf(exchange).some((name) => lacking.has(name)),
  },
  {
    what: 'name, version and extensions of the server, and the platform of a model',
    reason: 'They name the server and its back end. `sequence`, `schedule_policy` and `cuda_shared_memory` are not supported.',
    covers: (exchange, { at }) => at === '$.platform' || exchange.method === 'ServerMetadata',
  },
  {
    what: 'a version `1.5` counts as 1 there; ours INVALID_ARGUMENT',
    reason: 'It is no version number.',
    covers: among('g-health-015'),
  },
  {
    what: 'health `Watch` and reflection: theirs UNIMPLEMENTED, ours are there',
    reason: 'Load balancers and clients without a .proto use them.',
    covers: among('g-health-025', 'g-health-026'),
  },
  {
    what: 'a model or version that is not there: theirs INVALID_ARGUMENT or INTERNAL for some calls, ours always NOT_FOUND',
    reason: 'One error has one code, whichever call meets it.',
    covers: ({ method }, difference) =>
      ['ModelStatistics', 'RepositoryModelLoad', 'TraceSetting'].includes(method) &&
      status(['INVALID_ARGUMENT', 'INTERNAL'], 'NOT_FOUND')(difference),
  },
  {
    what: 'unloading a model that is not there: theirs OK, ours NOT_FOUND',
    reason: 'A mistyped name must not look like a model that was unloaded.',
    covers: ({ method }, difference) => method === 'RepositoryModelUnload' && status(['OK'], 'NOT_FOUND')(difference),
  },
  {
    what: 'files without a configuration, or a model that cannot be loaded: ours INVALID_ARGUMENT or FAILED_PRECONDITION',
    reason: 'The files are wrong and not the server.',
    covers: ({ method }, difference) =>
      method === 'RepositoryModelLoad' &&
      (status(['INTERNAL'], 'INVALID_ARGUMENT')(difference) || status(['INVALID_ARGUMENT'], 'FAILED_PRECONDITION')(difference)),
  },
  {
    what: 'the server is not ready after one model failed to load; ours is',
    reason: 'The others answer, and unloading the failed one would not mend theirs.',
    covers: among('g-repository-018'),
  },
  {
    what: 'changing settings over TCP: PERMISSION_DENIED',
    reason: 'It is off unless an access file allows it; over the Unix socket it is on.',
    covers: ({ method }, { at, ours }) =>
      ['TraceSetting', 'LogSettings'].includes(method) && at === 'status' && ours === 'PERMISSION_DENIED',
  },
  {
    what: 'shared memory that cannot be had, is registered already or is too small: ours INVALID_ARGUMENT',
    reason: 'The request is wrong and not the server.',
    covers: ({ group }, difference) => group === 'shared-memory' && status(['INTERNAL', 'ALREADY_EXISTS'], 'INVALID_ARGUMENT')(difference),
  },
  {
    what: 'raw contents that no input takes: theirs passes over them, ours INVALID_ARGUMENT',
    reason: 'Data that would be lost is a mistake of the client.',
    covers: among('g-shared-memory-022'),
  },
  {
    what: 'a size of 0: refused where no golden sample shows that the model takes it',
    reason: 'Kernels of ONNX Runtime end the process on some.',
    covers: among('g-infer-basic-035', 'g-infer-types-044', 'g-infer-classification-014'),
  },
  {
    what: 'a shape with more elements than are accepted: theirs INVALID_ARGUMENT, ours RESOURCE_EXHAUSTED',
    reason: 'gRPC has that code for sizes beyond a limit.',
    covers: ({ group }, difference) => group === 'infer-basic' && status(['INVALID_ARGUMENT'], 'RESOURCE_EXHAUSTED')(difference),
  },
  {
    what: 'texts with a NUL, or that are not UTF-8: INVALID_ARGUMENT',
    reason: 'The binding of ONNX Runtime would alter them.',
    covers: among('g-infer-basic-054', 'g-infer-types-037'),
  },
  {
    what: 'typed contents out of the range of their datatype: theirs wraps, ours INVALID_ARGUMENT',
    reason: 'The model would see another number than was sent.',
    covers: among('g-infer-types-029', 'g-infer-types-030'),
  },
  {
    what: 'a classification of 0: theirs INVALID_ARGUMENT over gRPC and all values over HTTP, ours all values in both',
    reason: 'Their HTTP takes it.',
    covers: among('g-infer-classification-004'),
  },
  {
    what: 'classes of texts: theirs ends the server, ours INVALID_ARGUMENT',
    reason: 'A bug of theirs.',
    covers: among('g-infer-classification-013'),
  },
  {
    what: 'a message of 70 MB: RESOURCE_EXHAUSTED unless --body-limit is raised',
    reason: 'Sizes are limited by default.',
    covers: among('g-transport-007'),
  },
];
