import { z } from 'zod';
import { narrow, parseUnknown } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Millis } from '#shared/kernel/time.js';
import { DATATYPES } from '#shared/tensor/datatype.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import type { CallName, Calls, ModelStatistics, ModelVersion } from './calls.js';
import type { HttpReply } from './http-exchange.js';
import { type BinaryBody, HEADER_LENGTH, inferBody, readInferAnswer } from './oip-body.js';

// Every call as a request of the Open Inference Protocol v2 over HTTP, and Triton's extensions of it.

interface HttpForm {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: BinaryBody;
}

interface HttpCall<K extends CallName> {
  readonly form: (sent: Calls[K]['sent'], left: Millis) => HttpForm;
  readonly read: (reply: HttpReply) => Calls[K]['answer'];
  /** Statuses that are answers here, beside those below 400. */
  readonly answers?: readonly number[];
}

const segment = encodeURIComponent;

function modelPath({ model, version }: ModelVersion): string {
  return `/v2/models/${segment(model)}${version === undefined ? '' : `/versions/${segment(version)}`}`;
}

function jsonBody(value: unknown): BinaryBody {
  const bytes = Buffer.from(JSON.stringify(value));
  return { parts: [bytes], byteLength: bytes.byteLength, headerLength: bytes.byteLength };
}

const json = { 'content-type': 'application/json' } as const;
const post = (path: string, value: unknown): HttpForm => ({ method: 'POST', path, headers: json, body: jsonBody(value) });
const get = (path: string): HttpForm => ({ method: 'GET', path });

/** A reader of answers that are JSON of this form. */
function document<T>(schema: z.ZodType<T>): (reply: HttpReply) => T {
  return ({ bytes }) => {
    const options = { what: 'the answer', maxBytes: LIMITS.inferBodyBytes, code: 'CLIENT_ANSWER' } as const;
    return narrow(schema, parseUnknown(bytes, options), options.what, options.code);
  };
}

/** Of checks that a status answers. */
const isUp = ({ status }: HttpReply): boolean => status < 400;
const nothing = (): undefined => undefined;

const tensorSchema = z
  .object({ name: z.string(), datatype: z.enum(DATATYPES), shape: z.array(z.int()), any_shape: z.literal(true).optional() })
  .transform(({ any_shape: anyShape, ...spec }): TensorSpec => ({ ...spec, ...(anyShape !== undefined && { anyShape }) }));
const metadataSchema = z.object({
  name: z.string(),
  versions: z.array(z.string()).default([]),
  platform: z.string().default(''),
  inputs: z.array(tensorSchema),
  outputs: z.array(tensorSchema),
});
const serverSchema = z.object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) });
const indexSchema = z.array(
  z.object({ name: z.string(), version: z.string().optional(), state: z.string().optional(), reason: z.string().optional() }),
);
const totalSchema = z.object({ count: z.number().default(0), ns: z.number().default(0) });
const statisticsSchema = z
  .object({
    model_stats: z.array(
      z.object({
        name: z.string(),
        version: z.string(),
        last_inference: z.number().default(0),
        inference_count: z.number().default(0),
        execution_count: z.number().default(0),
        inference_stats: z.record(z.string(), totalSchema).default({}),
      }),
    ),
  })
  .transform(({ model_stats: models }): readonly ModelStatistics[] =>
    models.map((entry) => ({
      name: entry.name,
      version: entry.version,
      inferences: entry.inference_count,
      executions: entry.execution_count,
      lastInference: entry.last_inference,
      durations: entry.inference_stats,
    })),
  );
const feedbackSchema = z.object({ version: z.union([z.string(), z.int()]) }).transform(({ version }) => ({ version: String(version) }));

/** One row for each call. */
export const HTTP_CALLS: { readonly [K in CallName]: HttpCall<K> } = {
  live: { form: () => get('/v2/health/live'), read: isUp, answers: [400, 503] },
  ready: { form: () => get('/v2/health/ready'), read: isUp, answers: [400, 503] },
  modelReady: { form: (sent) => get(`${modelPath(sent)}/ready`), read: isUp, answers: [400, 404, 503] },
  server: { form: () => get('/v2'), read: document(serverSchema) },
  metadata: { form: (sent) => get(modelPath(sent)), read: document(metadataSchema) },
  config: { form: (sent) => get(`${modelPath(sent)}/config`), read: document(z.looseObject({})) },
  infer: {
    form(sent, left) {
      const body = inferBody(sent, left);
      const headers = { 'content-type': 'application/octet-stream', [HEADER_LENGTH]: body.headerLength };
      return { method: 'POST', path: `${modelPath(sent)}/infer`, headers, body };
    },
    read({ bytes, headers }) {
      const length = headers[HEADER_LENGTH];
      return readInferAnswer(bytes, typeof length === 'string' ? Number(length) : undefined);
    },
  },
  index: { form: () => post('/v2/repository/index', {}), read: document(indexSchema) },
  load: {
    form({ model, config, files }) {
      const parameters = new Map(config === undefined ? [] : [['config', config]]);
      for (const [path, bytes] of Object.entries(files)) parameters.set(`file:${path}`, Buffer.from(bytes).toString('base64'));
      return post(`/v2/repository/models/${segment(model)}/load`, { parameters: Object.fromEntries(parameters) });
    },
    read: nothing,
  },
  unload: {
    form: ({ model, dependents }) =>
      post(`/v2/repository/models/${segment(model)}/unload`, { parameters: { unload_dependents: dependents } }),
    read: nothing,
  },
  statistics: {
    form: ({ model, version }) => get(model === undefined ? '/v2/models/stats' : `${modelPath({ model, version })}/stats`),
    read: document(statisticsSchema),
  },
  status: { form: () => get('/skerry/v1/status'), read: document(z.looseObject({})) },
  feedback: {
    form: ({ model, version, ...said }) => post(`${modelPath({ model, version })}/feedback`, said),
    read: document(feedbackSchema),
  },
};
