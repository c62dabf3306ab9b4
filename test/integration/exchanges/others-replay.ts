import http from 'node:http';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { compareJson, type Difference } from './compare.js';
import { HEADER_LENGTH, type Replayed, splitBody } from './http-replay.js';
import { type Json, parseLenient } from './lenient-json.js';
import type { RawAnswer } from './raw-http.js';
import type { GrpcTestClient } from '../../kit/grpc-client.js';
import { type GrpcExchange, replayGrpc } from './grpc-replay.js';
import { bodyBytes, type HttpExchange, httpExchangeSchema, readRecord } from './record.js';

// The record of KServe, TorchServe, MLflow and MLServer: each line says which set-up of a server answered.

const position = { order: z.number() };

const json = z.record(z.string(), z.unknown());

const httpLine = httpExchangeSchema.extend({ ...position, protocol: z.literal('http') });

const grpcLine = httpExchangeSchema.pick({ id: true, group: true, why: true, method: true, headers: true, volatile: true }).extend({
  ...position,
  protocol: z.literal('grpc'),
  request: json,
  response: z.object({ message: json.optional(), error: z.object({ code: z.string(), message: z.string() }).optional() }),
});

export type OtherExchange = HttpExchange & { readonly order: number; readonly grpc?: GrpcExchange };

/** Every line of a record, in order. A line over gRPC has its method as the path, and its request as the body, so that rules see both alike. */
export async function readOthers(file: string): Promise<readonly OtherExchange[]> {
  const lines = await readRecord(file, z.union([httpLine, grpcLine]));
  const read = lines.map((line) => (line.protocol === 'http' ? line : overGrpc(line)));
  return read.sort((a, b) => a.order - b.order);
}

function overGrpc({ id, group, why, order, headers, volatile, method, request, response }: z.infer<typeof grpcLine>): OtherExchange {
  const places = volatile.map((place) => place.replace('response.message', '$'));
  const grpc: GrpcExchange = {
    id,
    group,
    why,
    request,
    volatile: places,
    method: method.slice(method.lastIndexOf('/') + 1),
    ...(response.error === undefined ? { response: response.message ?? {} } : { error: response.error }),
  };
  const shown = { method: 'POST', path: method, headers, body_text: JSON.stringify(request), response: {}, volatile: places };
  return { id, group, why, order, grpc, ...shown };
}

interface OtherOptions {
  /** Port of the server that stands for the recorded one; undefined: there is none. */
  readonly portOf: (exchange: OtherExchange) => number | undefined;
  /** For the lines over gRPC. */
  readonly grpc?: GrpcTestClient;
  /** What of an error's body must be equal: its form, and not its words. */
  readonly errorForm: (error: Json | undefined) => Json | undefined;
  /** Their answer as our model would give it, where it has another form. */
  readonly formOf?: (exchange: OtherExchange, theirs: Json) => Json;
  /** Headers that are compared beside the content type, in small letters. */
  readonly headers?: readonly string[];
}

/** Stands for every difference of a line that no server here can be asked: a rule has to say why. */
const NOT_REPLAYED: Difference = { at: 'not replayed', theirs: 'an answer', ours: 'not asked' };

/** Plays exchanges in order against servers that run; there is an entry for each. */
export async function replayOthers(exchanges: readonly OtherExchange[], options: OtherOptions): Promise<readonly Replayed[]> {
  const played: Replayed[] = [];
  for (const exchange of exchanges) played.push(await replayOne(exchange, options));
  return played;
}

async function replayOne(exchange: OtherExchange, options: OtherOptions): Promise<Replayed> {
  if (exchange.grpc !== undefined && options.grpc !== undefined) {
    const { differences } = await replayGrpc(options.grpc, exchange.grpc);
    return { exchange, ours: undefined, differences };
  }
  const port = exchange.grpc === undefined ? options.portOf(exchange) : undefined;
  if (port === undefined) return { exchange, ours: undefined, differences: [NOT_REPLAYED] };
  const ours = await send(exchange, port);
  return { exchange, ours, differences: differencesOf(exchange, ours, options) };
}

function send(exchange: HttpExchange, port: number): Promise<RawAnswer> {
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

function differencesOf(exchange: OtherExchange, ours: RawAnswer, { errorForm, formOf, headers = [] }: OtherOptions): readonly Difference[] {
  const theirs = exchange.response;
  // Requests that were sent at once have several answers.
  if (theirs.status === undefined) return [NOT_REPLAYED];
  if (theirs.status !== ours.status) return [{ at: 'status', theirs: String(theirs.status), ours: String(ours.status) }];
  const found: Difference[] = [];
  for (const name of ['content-type', ...headers]) {
    if (exchange.volatile.includes(`response.headers.${name}`)) continue;
    const [their, our] = [theirs.headers?.[name], ours.headers[name]].map((value) => (value ?? '(absent)').replace(/;.*/, ''));
    if (their !== our) found.push({ at: `header ${name}`, theirs: String(their), ours: String(our) });
  }
  if (exchange.method === 'HEAD') return found;
  // Of metrics only the names were kept; they are the server's own.
  if (exchange.body_kept === 'TYPE lines only') return [...found, { at: 'names of metrics', theirs: 'theirs', ours: 'ours' }];
  const ignored = exchange.volatile.map((path) => path.replace('response.body', '$').replace('$_text', '$'));
  const theirParts = splitBody(bodyBytes(theirs), theirs.headers?.[HEADER_LENGTH.toLowerCase()]);
  const ourParts = splitBody(ours.body, ours.headers[HEADER_LENGTH.toLowerCase()]);
  if (!theirParts.binary.equals(ourParts.binary)) {
    found.push({ at: 'binary', theirs: theirParts.binary.toString('hex'), ours: ourParts.binary.toString('hex') });
  }
  const [their, our] = [theirParts.text, ourParts.text];
  const [theirJson, ourJson] = [parseLenient(their), parseLenient(our)];
  if (ours.status >= 400) return [...found, ...compareJson(errorForm(theirJson), errorForm(ourJson), [])];
  if (theirJson === undefined || ourJson === undefined) {
    return their === our || ignored.includes('$')
      ? found
      : [...found, { at: 'body', theirs: their.slice(0, 160), ours: our.slice(0, 160) }];
  }
  return [...found, ...compareJson(formOf?.(exchange, theirJson) ?? theirJson, ourJson, ignored)];
}
