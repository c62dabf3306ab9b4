import http from 'node:http';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { compareJson, type Difference } from './compare.js';
import type { Replayed } from './http-replay.js';
import { type Json, parseLenient } from './lenient-json.js';
import type { RawAnswer } from './raw-http.js';
import { bodyBytes, httpExchangeSchema } from './record.js';

// The record of KServe, TorchServe, MLflow and MLServer: each line says which set-up of a server answered.

/** A line over HTTP; of several requests at once only the first counts. */
export const otherExchangeSchema = httpExchangeSchema.extend({ order: z.number(), listener: z.string().optional() });

export type OtherExchange = z.infer<typeof otherExchangeSchema>;

interface OtherOptions {
  /** Port of the server that stands for the recorded one; undefined: there is none, and the line is passed over. */
  readonly portOf: (exchange: OtherExchange) => number | undefined;
  /** What of an error's body must be equal: its form, and not its words. */
  readonly errorForm: (error: Json | undefined) => Json | undefined;
  /** Headers that are compared beside the content type, in small letters. */
  readonly headers?: readonly string[];
}

/** Plays exchanges in order against servers that run. */
export async function replayOthers(exchanges: readonly OtherExchange[], options: OtherOptions): Promise<readonly Replayed[]> {
  const played: Replayed[] = [];
  for (const exchange of [...exchanges].sort((a, b) => a.order - b.order)) {
    const port = options.portOf(exchange);
    if (port === undefined) continue;
    const ours = await send(exchange, port);
    played.push({ exchange, ours, differences: differencesOf(exchange, ours, options) });
  }
  return played;
}

function send(exchange: OtherExchange, port: number): Promise<RawAnswer> {
  const headers: http.OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(exchange.headers)) headers[name] = typeof value === 'string' ? value : [...value];
  const body = bodyBytes(exchange);
  if (body.byteLength > 0 || exchange.method === 'POST') headers['Content-Length'] = String(body.byteLength);
  return new Promise((resolve, reject) => {
    const { method, path } = exchange;
    const request = http.request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => void chunks.push(chunk));
      response.on('end', () => {
        const names = Object.entries(response.headers).map(([name, value]) => [name, String(value)] as const);
        resolve({
          status: response.statusCode ?? 0,
          headers: Object.fromEntries(names),
          body: decoded(Buffer.concat(chunks), response.headers['content-encoding']),
          interim: [],
        });
      });
    });
    request.once('error', reject);
    request.end(body);
  });
}

function decoded(body: Buffer, coding: string | undefined): Buffer {
  return coding === 'gzip' && body.byteLength > 0 ? gunzipSync(body) : body;
}

function differencesOf(exchange: OtherExchange, ours: RawAnswer, { errorForm, headers = [] }: OtherOptions): readonly Difference[] {
  const theirs = exchange.response;
  // The answers to several at once are kept elsewhere, and are a Python handler's.
  if (theirs.status === undefined) return [];
  if (theirs.status !== ours.status) return [{ at: 'status', theirs: String(theirs.status), ours: String(ours.status) }];
  const found: Difference[] = [];
  for (const name of ['content-type', ...headers]) {
    if (exchange.volatile.includes(`response.headers.${name}`)) continue;
    const [their, our] = [theirs.headers?.[name], ours.headers[name]].map((value) => (value ?? '(absent)').replace(/;.*/, ''));
    if (their !== our) found.push({ at: `header ${name}`, theirs: String(their), ours: String(our) });
  }
  if (exchange.method === 'HEAD') return found;
  const ignored = exchange.volatile.map((path) => path.replace('response.body', '$').replace('$_text', '$'));
  const [their, our] = [bodyBytes(theirs).toString('utf8'), ours.body.toString('utf8')];
  const [theirJson, ourJson] = [parseLenient(their), parseLenient(our)];
  if (ours.status >= 400) return [...found, ...compareJson(errorForm(theirJson), errorForm(ourJson), [])];
  if (theirJson === undefined || ourJson === undefined) {
    return their === our || ignored.includes('$')
      ? found
      : [...found, { at: 'body', theirs: their.slice(0, 160), ours: our.slice(0, 160) }];
  }
  return [...found, ...compareJson(theirJson, ourJson, ignored)];
}
