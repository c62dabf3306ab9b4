import { z } from 'zod';
import { fromErrorBody, SkerryError } from '#shared/kernel/errors.js';
import { seconds } from '#shared/kernel/time.js';
import type { Bounds, CallName, Calls, Link } from './calls.js';
import { CallFailure } from './call-failure.js';
import { HTTP_CALLS } from './http-calls.js';
import { exchange, type HttpReply, type HttpTarget } from './http-exchange.js';

/** Calls over HTTP, on TCP or on a Unix socket. */
export class HttpLink implements Link {
  readonly #target: HttpTarget;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(target: HttpTarget, headers: Readonly<Record<string, string>>) {
    this.#target = target;
    this.#headers = headers;
  }

  async call<K extends CallName>(name: K, sent: Calls[K]['sent'], { signal, left }: Bounds): Promise<Calls[K]['answer']> {
    const { form, read, answers = [] } = HTTP_CALLS[name];
    const { method, path, headers, body } = form(sent, left);
    const reply = await exchange(this.#target, { method, path, headers: { ...this.#headers, ...headers }, body }, signal);
    if (reply.status >= 400 && !answers.includes(reply.status)) throw refusalOf(reply);
    return read(reply);
  }

  close(): void {
    this.#target.agent.destroy();
  }
}

/** An error of ours has a code; another server's has a message at best. */
const refusalSchema = z.object({
  error: z.union([z.string(), z.object({ message: z.string() }).transform(({ message }) => message)]),
  code: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

const SHOWN = 1_000;

function refusalOf({ status, headers, bytes }: HttpReply): CallFailure {
  const seen = refusalSchema.safeParse(jsonOf(bytes));
  const wait = Number(headers['retry-after']);
  const putOff = status === 503 && Number.isFinite(wait);
  return new CallFailure(errorOf(status, seen.data, bytes), putOff ? 'put off' : 'final', putOff ? seconds(Math.max(0, wait)) : 0);
}

function errorOf(status: number, refusal: z.infer<typeof refusalSchema> | undefined, bytes: Uint8Array): SkerryError {
  const message = refusal?.error ?? Buffer.from(bytes.subarray(0, SHOWN)).toString();
  if (refusal?.code !== undefined)
    return fromErrorBody({ code: refusal.code, message, ...(refusal.details && { details: refusal.details }) });
  return new SkerryError('CLIENT_REFUSED', `the server answered ${status}: ${message}`, { details: { status } });
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
}
