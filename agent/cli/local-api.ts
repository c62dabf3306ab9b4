import { type IncomingHttpHeaders, request as httpRequest, type RequestOptions } from 'node:http';
import { z } from 'zod';
import { LONGEST_TIMER } from '#shared/kernel/clock.js';
import { type Millis, seconds } from '#shared/kernel/time.js';
import { formatDuration } from '#shared/kernel/duration.js';
import { asSkerryError, fromErrorBody, hasCode, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { reportedSchema } from '#shared/protocol/messages.js';
import type { RequestBody } from './predict-exchange.js';
import { findRunning, type RunningAgent } from '../running.js';

const linkSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('offline'), since: z.number(), reason: z.string().optional(), nextAttemptAt: z.number().optional() }),
  z.object({ kind: z.literal('connecting') }),
  z.object({ kind: z.literal('online'), since: z.number(), broker: z.string() }),
]);

export const statusSchema = z.object({
  version: z.string(),
  pid: z.int(),
  startedAt: z.string(),
  fleet: z.string(),
  hub: z.string(),
  link: linkSchema,
  /** Older agents say nothing of it. */
  access: z
    .object({
      kind: z.string(),
      warning: z.string().optional(),
      file: z.string().optional(),
      error: z.object({ code: z.string(), message: z.string() }).optional(),
    })
    .optional(),
  reported: reportedSchema,
});
export type Status = z.infer<typeof statusSchema>;

const refusalSchema = z.object({ error: z.string(), code: z.string(), details: z.record(z.string(), z.unknown()).optional() });

/** Of the binary tensor data extension, both ways. */
const HEADER_LENGTH = 'inference-header-content-length';

/** How long is waited for answers. */
interface Waits {
  /** For one that needs no computing. */
  readonly answer: Millis;
  /** For a prediction, beyond the time it may be computed: its way here, and the agent's word that it took too long. */
  readonly margin: Millis;
}
const WAITS: Waits = { answer: seconds(60), margin: seconds(30) };

interface AgentAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Uint8Array;
}

/** The local API of the agent that runs with a data folder, over its Unix socket or else over TCP. */
export class LocalApi {
  readonly agent: RunningAgent;
  readonly #target: RequestOptions;
  readonly #waits: Waits;

  private constructor(agent: RunningAgent, target: RequestOptions, waits: Waits) {
    this.agent = agent;
    this.#waits = waits;
    this.#target = target;
  }

  /** Finds the agent; `AGENT_NOT_RUNNING` when none runs there. */
  static async find(data: string, waits: Waits = WAITS): Promise<LocalApi> {
    const agent = await findRunning(data);
    if (agent === undefined) throw new SkerryError('AGENT_NOT_RUNNING', `no agent runs with ${data}`);
    if (agent.socket !== null) return new LocalApi(agent, { socketPath: agent.socket }, waits);
    if (agent.http === null) throw new SkerryError('AGENT_NOT_RUNNING', 'the agent has no local API: neither HTTP nor socket');
    const { hostname, port } = new URL(agent.http);
    return new LocalApi(agent, { host: hostname, port }, waits);
  }

  status(): Promise<Status> {
    return this.get('/skerry/v1/status', statusSchema);
  }

  get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    return this.#call('GET', path, schema);
  }

  /** Asks for a prediction; gives the answer and the length of its JSON part, undefined when it is all JSON. */
  async infer(path: string, body: RequestBody): Promise<{ readonly bytes: Uint8Array; readonly headerLength: number | undefined }> {
    const { bytes, headers } = await this.#ask('POST', path, body);
    const length = headers[HEADER_LENGTH];
    return { bytes, headerLength: typeof length === 'string' ? Number(length) : undefined };
  }

  async #call<T>(method: string, path: string, schema: z.ZodType<T>): Promise<T> {
    const { bytes } = await this.#ask(method, path, undefined);
    return parseJson(schema, bytes, { what: `the answer of ${path}`, maxBytes: LIMITS.inferBodyBytes });
  }

  /** Sends a request; an answer that is a refusal is thrown as the error it names. */
  async #ask(method: string, path: string, body: RequestBody | undefined): Promise<AgentAnswer> {
    const answer = await this.#send(method, path, body).catch((cause: unknown) => {
      if (hasCode(cause, 'AGENT_NO_ANSWER')) throw cause;
      throw new SkerryError('AGENT_NOT_RUNNING', `the agent (process ${this.agent.pid}) does not answer: ${asSkerryError(cause).message}`, {
        cause,
      });
    });
    if (answer.status < 400) return answer;
    const options = { what: `the answer of ${path}`, maxBytes: LIMITS.inferBodyBytes };
    const { error, code, details } = parseJson(refusalSchema, answer.bytes, options);
    throw fromErrorBody({ code, message: error, ...(details === undefined ? {} : { details }) });
  }

  /** 0 is for ever: what has no limit is waited for. */
  #waitFor({ timeout }: RequestBody): Millis {
    return timeout === undefined ? 0 : Math.min(LONGEST_TIMER, Math.ceil(timeout) + this.#waits.margin);
  }

  #send(method: string, path: string, body: RequestBody | undefined): Promise<AgentAnswer> {
    const timeout = body === undefined ? this.#waits.answer : this.#waitFor(body);
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-length': body.bytes.byteLength, [HEADER_LENGTH]: body.headerLength };
      const request = httpRequest({ ...this.#target, method, path, headers, timeout, agent: false }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.once('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes: Buffer.concat(parts) });
        });
        response.once('error', reject);
      });
      const late = `the agent (process ${this.agent.pid}) gave no answer within ${formatDuration(timeout)}`;
      request.once('timeout', () => request.destroy(new SkerryError('AGENT_NO_ANSWER', late)));
      request.once('error', reject);
      request.end(body?.bytes);
    });
  }
}

/** Names of the models the agent knows, for shell completion. */
export async function servedModels(data: string): Promise<readonly string[]> {
  const api = await LocalApi.find(data);
  return (await api.status()).reported.models.map((model) => model.model);
}
