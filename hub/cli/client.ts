import type { z } from 'zod';
import { type Millis, seconds } from '#shared/kernel/time.js';
import { fromErrorBody, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { errorBodySchema } from '../api/error-schema.js';
import type { HubAddress } from '../publisher/http-hub.js';
import { type Answer, send, type SendRequest } from '../publisher/http-send.js';

const IDLE: Millis = seconds(60);

type QueryValues = Readonly<Record<string, string | number | boolean | undefined>>;

/** The hub's API as commands use it: answers are checked by the schema the route declares, refusals thrown as what they are. */
export class HubClient {
  readonly address: HubAddress;
  readonly #base: string;

  constructor(address: HubAddress) {
    this.address = address;
    this.#base = address.url.replace(/\/+$/, '');
  }

  get<T>(schema: z.ZodType<T>, path: string, query: QueryValues = {}): Promise<T> {
    return this.#json(schema, 'GET', path, { query });
  }

  post<T>(schema: z.ZodType<T>, path: string, body: unknown): Promise<T> {
    return this.#json(schema, 'POST', path, { body });
  }

  patch<T>(schema: z.ZodType<T>, path: string, body: unknown): Promise<T> {
    return this.#json(schema, 'PATCH', path, { body });
  }

  put<T>(schema: z.ZodType<T>, path: string, body: unknown): Promise<T> {
    return this.#json(schema, 'PUT', path, { body });
  }

  delete<T>(schema: z.ZodType<T>, path: string, query: QueryValues = {}): Promise<T> {
    return this.#json(schema, 'DELETE', path, { query });
  }

  /** A deletion that answers nothing. */
  async remove(path: string): Promise<void> {
    await this.#call('DELETE', path);
  }

  /** An answer's bytes, as they are. */
  async bytes(path: string): Promise<Uint8Array> {
    return (await this.#call('GET', path)).body;
  }

  /** Address of a WebSocket path of the hub. */
  webSocketUrl(path: string, query: QueryValues = {}): URL {
    const url = this.#url(path, query);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return url;
  }

  async #json<T>(schema: z.ZodType<T>, method: SendRequest['method'], path: string, options: CallOptions = {}): Promise<T> {
    const { body } = await this.#call(method, path, options);
    return parseJson(schema, body, {
      what: `answer of the hub to ${method} ${path}`,
      maxBytes: LIMITS.apiBodyBytes,
      code: 'HUB_ANSWER_MALFORMED',
    });
  }

  async #call(method: SendRequest['method'], path: string, options: CallOptions = {}): Promise<Answer> {
    const headers = { authorization: `Bearer ${this.address.token}`, accept: 'application/json' };
    const request: SendRequest =
      options.body === undefined
        ? { url: this.#url(path, options.query), method, headers, idle: IDLE }
        : {
            url: this.#url(path, options.query),
            method,
            headers: { ...headers, 'content-type': 'application/json' },
            body: new TextEncoder().encode(JSON.stringify(options.body)),
            idle: IDLE,
          };
    const answer = await send(request);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw refusal(answer, method, path);
  }

  #url(path: string, query: QueryValues = {}): URL {
    const url = new URL(`${this.#base}${path}`);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url;
  }
}

interface CallOptions {
  readonly query?: QueryValues;
  readonly body?: unknown;
}

function refusal(answer: Answer, method: string, path: string): SkerryError {
  try {
    const { code, message, action, details } = parseJson(errorBodySchema, answer.body, { what: 'error', maxBytes: LIMITS.apiBodyBytes });
    return fromErrorBody({ code, message, action, ...(details === undefined ? {} : { details }) });
  } catch (cause) {
    return new SkerryError(
      'HUB_ANSWER_MALFORMED',
      `${method} ${path} was answered with status ${answer.status} by something else than a hub`,
      {
        cause,
      },
    );
  }
}
