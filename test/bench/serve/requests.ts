import { GRPC_CALLS } from '#shared/client/grpc-calls.js';
import { inferBody } from '#shared/client/oip-body.js';
import { tensorOf } from '#shared/client/values.js';
import { inputsOf, type ModelOfBench } from './models.js';

/** A request as bytes: a whole one of HTTP/1.1, or the header fields (HPACK) and the body of one over HTTP/2. */
export type LoadRequest =
  | { readonly protocol: 'http1'; readonly bytes: Buffer }
  | { readonly protocol: 'http2'; readonly headers: Buffer; readonly body: Buffer };

const HOST = '127.0.0.1';

export function posted(path: string, body: Uint8Array, headers: Readonly<Record<string, string | number>> = {}): LoadRequest {
  const lines = Object.entries({ host: HOST, 'content-length': body.byteLength, ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return { protocol: 'http1', bytes: Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), body]) };
}

export function got(path: string): LoadRequest {
  return { protocol: 'http1', bytes: Buffer.from(`GET ${path} HTTP/1.1\r\nhost: ${HOST}\r\n\r\n`) };
}

export function json(path: string, document: unknown): LoadRequest {
  return posted(path, Buffer.from(JSON.stringify(document)), { 'content-type': 'application/json' });
}

/** The Open Inference Protocol with every tensor as JSON. */
export function oipJson(model: ModelOfBench): LoadRequest {
  const inputs = Object.entries(inputsOf(model)).map(([name, { shape, data }]) => {
    const { datatype } = tensorOf(name, { shape, data });
    return { name, datatype, shape, data: Array.from<number | bigint>(data).map(Number) };
  });
  return json(`/v2/models/${model}/infer`, { inputs });
}

/** The Open Inference Protocol with every tensor as bytes. */
export function oipBinary(model: ModelOfBench): LoadRequest {
  const { parts, headerLength } = inferBody(callOf(model), Number.POSITIVE_INFINITY);
  return posted(`/v2/models/${model}/infer`, Buffer.concat(parts), { 'inference-header-content-length': headerLength });
}

export function oipGrpc(model: ModelOfBench): LoadRequest {
  const { infer } = GRPC_CALLS;
  if (infer === undefined) throw new Error('there is no prediction over gRPC');
  const message = infer.write(callOf(model), Number.POSITIVE_INFINITY);
  const length = Buffer.alloc(5);
  length.writeUInt32BE(message.byteLength, 1);
  const fields = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': infer.method,
    ':authority': HOST,
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  return { protocol: 'http2', headers: headerBlock(fields), body: Buffer.concat([length, message]) };
}

function callOf(model: ModelOfBench) {
  const inputs = Object.fromEntries(Object.entries(inputsOf(model)).map(([name, input]) => [name, tensorOf(name, input)]));
  return { model, inputs, id: undefined, outputs: undefined, parameters: {} };
}

/** RFC 7541, 6.2.2: literal fields that no table keeps, so that every request has the same bytes. */
function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  const literal = (text: string): Buffer => Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
  return Buffer.concat(Object.entries(fields).flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]));
}
