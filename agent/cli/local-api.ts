import { z } from 'zod';
import type { Client } from '#shared/client/client.js';
import { connect } from '#shared/client/connect.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { narrow } from '#shared/kernel/json.js';
import { type Millis, seconds } from '#shared/kernel/time.js';
import { reportedSchema } from '#shared/protocol/messages.js';
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
  /** As `access`. */
  memory: z
    .object({
      heldBytes: z.number(),
      budgetBytes: z.number().optional(),
      versions: z.array(
        z.object({ model: z.string(), version: z.number(), bytes: z.number(), isEstimate: z.boolean(), asleep: z.boolean() }),
      ),
    })
    .optional(),
  reported: reportedSchema,
});
export type Status = z.infer<typeof statusSchema>;

/** How long is waited for answers. */
interface Waits {
  /** For one that needs no computing. */
  readonly answer: Millis;
  /** For a prediction, beyond the time it may be computed: its way here, and the agent's word that it took too long. */
  readonly margin: Millis;
}
const WAITS: Waits = { answer: seconds(60), margin: seconds(30) };

/** The local API of the agent that runs with a data folder, over its Unix socket or else over TCP. */
export class LocalApi {
  readonly agent: RunningAgent;
  readonly #client: Client;

  private constructor(agent: RunningAgent, client: Client) {
    this.agent = agent;
    this.#client = client;
  }

  /** Finds the agent; `AGENT_NOT_RUNNING` when none runs there. */
  static async find(data: string, { answer, margin }: Waits = WAITS): Promise<LocalApi> {
    const agent = await findRunning(data);
    if (agent === undefined) throw new SkerryError('AGENT_NOT_RUNNING', `no agent runs with ${data}`);
    const address = agent.socket === null ? agent.http : `unix:${agent.socket}`;
    if (address === null) throw new SkerryError('AGENT_NOT_RUNNING', 'the agent has no local API: neither HTTP nor socket');
    // Whoever waits at a terminal sees a failure at once, and tries again.
    return new LocalApi(agent, await connect(address, { timeout: answer, margin, retries: 0 }));
  }

  async status(): Promise<Status> {
    return narrow(statusSchema, await this.ask((client) => client.status()), 'the status of the agent');
  }

  /** Does a call. Errors: the agent's; `AGENT_NO_ANSWER` and `AGENT_NOT_RUNNING` instead of those of the connection. */
  async ask<T>(call: (client: Client) => Promise<T>): Promise<T> {
    try {
      return await call(this.#client);
    } catch (cause) {
      throw this.#named(cause);
    }
  }

  #named(cause: unknown): unknown {
    if (!(cause instanceof SkerryError)) return cause;
    const code = MEANINGS.get(cause.code);
    return code === undefined
      ? cause
      : new SkerryError(code, `the agent (process ${this.agent.pid}) does not answer: ${cause.message}`, { cause });
  }
}

/** What a failed connection means where an agent was announced. */
const MEANINGS: ReadonlyMap<ErrorCode, ErrorCode> = new Map([
  ['TIMEOUT', 'AGENT_NO_ANSWER'],
  ['CLIENT_UNREACHABLE', 'AGENT_NOT_RUNNING'],
  ['CLIENT_CONNECTION_LOST', 'AGENT_NOT_RUNNING'],
]);

/** Names of the models the agent knows, for shell completion. */
export async function servedModels(data: string): Promise<readonly string[]> {
  const api = await LocalApi.find(data);
  return (await api.status()).reported.models.map((model) => model.model);
}
