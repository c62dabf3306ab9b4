import { createHash } from 'node:crypto';
import { z } from 'zod';
import { GRPC_INFERENCE_SERVICE } from '#shared/protobuf/inference/grpc-service-proto.js';
import { encode } from '#shared/protobuf/encode.js';
import { fromJson } from '#shared/protobuf/json.js';
import { HEALTH } from '#shared/protobuf/standard/health-proto.js';
import type { Rpc, ServiceType } from '#shared/protobuf/schema.js';
import { decode } from '#shared/protobuf/decode.js';
import type { Answered, GrpcTestClient } from '../../kit/grpc-client.js';
import { toProtoJson } from '../../kit/proto-json.js';
import { compareTexts, type Difference } from './compare.js';

const json = z.record(z.string(), z.unknown());
const status = z.object({ code: z.string(), message: z.string() });

export const grpcExchangeSchema = z.object({
  id: z.string(),
  group: z.string(),
  why: z.string(),
  method: z.string(),
  service: z.string().optional(),
  request: json.optional(),
  requests: z.array(json).optional(),
  request_base64: z.string().optional(),
  response: json.optional(),
  responses: z.array(json).optional(),
  final: status.optional(),
  error: status.optional(),
  volatile: z.array(z.string()),
  compare_only: z.string().optional(),
  python_backend: z.boolean().optional(),
  server_may_die: z.boolean().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
  deadline_s: z.number().optional(),
  background: z.unknown().optional(),
  needs: z.object({ shm: z.record(z.string(), z.object({ byte_size: z.number(), start_base64: z.string() })).optional() }).optional(),
});

/** One exchange over gRPC. */
export type GrpcExchange = z.infer<typeof grpcExchangeSchema>;

/** One exchange, and where our answer differs. */
export interface GrpcReplayed {
  readonly exchange: GrpcExchange;
  readonly message: string;
  readonly differences: readonly Difference[];
}

const SERVICES: readonly ServiceType[] = [GRPC_INFERENCE_SERVICE, HEALTH];
const CODES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
].concat([
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
]);

/** Plays one exchange against a server that runs. */
export async function replayGrpc(client: GrpcTestClient, exchange: GrpcExchange): Promise<GrpcReplayed> {
  const serviceName = exchange.service ?? GRPC_INFERENCE_SERVICE.name;
  const rpc = SERVICES.find(({ name }) => name === serviceName)?.rpcs[exchange.method];
  const path = `/${serviceName}/${exchange.method}`;
  const options = { deadline: Date.now() + (exchange.deadline_s ?? 20) * 1000 };
  if (isBoth(rpc) && exchange.requests !== undefined) {
    const requests = exchange.requests.map((request) => fromJson(rpc.request, expanded(request)));
    const ours = await client.stream(path, rpc, requests, { options });
    const answers = ours.answers.map((answer) => toProtoJson(rpc.answer, answer));
    return judged(exchange, ours, withoutTexts(exchange.responses), withoutTexts(answers));
  }
  const bytes =
    exchange.request_base64 !== undefined || rpc === undefined
      ? Buffer.from(exchange.request_base64 ?? '', 'base64')
      : encode(rpc.request, fromJson(rpc.request, expanded(exchange.request)));
  const ours = await client.raw(path, bytes, { options, metadata: exchange.metadata ?? {} });
  const [answer] = ours.answers;
  const shown = answer === undefined || rpc === undefined ? undefined : shortened(toProtoJson(rpc.answer, decode(rpc.answer, answer)));
  const theirs = exchange.response?.['$base64'];
  if (typeof theirs === 'string') return judged(exchange, ours, theirs, answer?.toString('base64'));
  return judged(exchange, ours, only(exchange, exchange.response), only(exchange, shown));
}

function isBoth(rpc: Rpc | undefined): rpc is Rpc & { readonly streaming: 'both' } {
  return rpc?.streaming === 'both';
}

function judged(exchange: GrpcExchange, ours: Answered<unknown>, theirs: unknown, answer: unknown): GrpcReplayed {
  const code = exchange.error?.code ?? exchange.final?.code ?? 'OK';
  const our = CODES[ours.code] ?? String(ours.code);
  const differences =
    code === our
      ? compareTexts(JSON.stringify(theirs ?? null), JSON.stringify(answer ?? null), exchange.volatile)
      : [{ at: 'status', theirs: code, ours: our }];
  return { exchange, message: ours.message, differences };
}

/** Texts of errors are ours; that there is one must agree. */
function withoutTexts(answers: readonly Readonly<Record<string, unknown>>[] = []): unknown {
  return answers.map((answer) => ('error_message' in answer ? { ...answer, error_message: 'a text' } : answer));
}

/** Of an index, the entry of one model alone: the others depend on what ran before. */
function only({ compare_only: name }: GrpcExchange, answer: Readonly<Record<string, unknown>> | undefined): unknown {
  const models = answer?.['models'];
  if (name === undefined || !Array.isArray(models)) return answer;
  return models.filter((entry: unknown) => typeof entry === 'object' && entry !== null && 'name' in entry && entry.name === name);
}

/** Long data stands in the record as how often a piece repeats. */
function expanded(value: unknown): unknown {
  // Their backend was Python, ours is the runtime of ONNX.
  if (typeof value === 'string') return value.replace(/"backend": ?"python"/, '"backend":"onnxruntime"');
  if (Array.isArray(value)) return value.map(expanded);
  if (typeof value !== 'object' || value === null) return value;
  if ('$repeat_base64' in value && 'times' in value) {
    return Buffer.from(Buffer.alloc(Number(value.times), Buffer.from(String(value.$repeat_base64), 'base64'))).toString('base64');
  }
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, expanded(inner)]));
}

const LONG_BASE64 = 80_000;

function shortened(answer: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const raw = answer['raw_output_contents'];
  if (!Array.isArray(raw)) return answer;
  return {
    ...answer,
    raw_output_contents: raw.map((text: unknown) => {
      if (typeof text !== 'string' || text.length < LONG_BASE64) return text;
      const bytes = Buffer.from(text, 'base64');
      return { $length: bytes.byteLength, $sha256: createHash('sha256').update(bytes).digest('hex') };
    }),
  };
}
