import net from 'node:net';
import { gunzipSync, inflateSync } from 'node:zlib';
import { bodyBytes, type HttpExchange } from './record.js';

/** An answer as it came over the socket. */
export interface RawAnswer {
  readonly status: number;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** After decoding. */
  readonly body: Buffer;
  readonly interim: readonly number[];
}

type Sent = Pick<
  HttpExchange,
  | 'method'
  | 'path'
  | 'headers'
  | 'http_version'
  | 'no_host'
  | 'chunk_sizes'
  | 'expect_continue'
  | 'raw_base64'
  | 'half_close'
  | 'close_after_ms'
  | 'body_text'
  | 'body_base64'
  | 'body_parts'
>;

/** A connection that writes requests byte by byte as they were recorded. */
export class RawConnection {
  readonly #socket: net.Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('end', end).on('close', end).on('error', end);
  }

  static open(where: net.NetConnectOpts): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(where);
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawConnection(socket)));
    });
  }

  get isOpen(): boolean {
    return !this.#ended;
  }

  /** Sends a request and reads its answer; undefined where the connection ends, or nothing comes within `patience`, before there is one. */
  async exchange(request: Sent, patience: number): Promise<RawAnswer | undefined> {
    const { head, body } = requestBytes(request);
    this.#socket.write(head);
    if (request.close_after_ms !== undefined) {
      this.#socket.write(body);
      await new Promise((resolve) => setTimeout(resolve, request.close_after_ms));
      this.close();
      return undefined;
    }
    const interim: number[] = [];
    if (request.expect_continue === true) {
      const early = await this.#answer(request.method, 1_000, interim, true);
      if (early !== undefined) return early;
    }
    this.#socket.write(body);
    if (request.half_close === true) this.#socket.end();
    return this.#answer(request.method, patience, interim, false);
  }

  /** Waits for the other side to close, at most so long. */
  async ended(patience: number): Promise<void> {
    const until = performance.now() + patience;
    while (!this.#ended && performance.now() < until) await this.#news(until - performance.now());
  }

  close(): void {
    this.#socket.destroy();
  }

  async #answer(method: string, patience: number, interim: number[], stopAtInterim: boolean): Promise<RawAnswer | undefined> {
    const until = performance.now() + patience;
    for (;;) {
      const parsed = parseAnswer(this.#received, method, this.#ended);
      if (parsed !== undefined) {
        this.#received = this.#received.subarray(parsed.length);
        if (parsed.answer.status >= 200) return { ...parsed.answer, interim };
        interim.push(parsed.answer.status);
        if (stopAtInterim) return undefined;
        continue;
      }
      const left = until - performance.now();
      if (this.#ended || left <= 0) return undefined;
      await this.#news(left);
    }
  }

  /** Resolves when something came, or nothing for so long. */
  #news(patience: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, patience);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function requestBytes(request: Sent): { readonly head: Buffer; readonly body: Buffer } {
  if (request.raw_base64 !== undefined) return { head: Buffer.from(request.raw_base64, 'base64'), body: Buffer.alloc(0) };
  const hasBody = 'body_text' in request || 'body_base64' in request || 'body_parts' in request;
  const content = bodyBytes(request);
  const named = new Set(Object.keys(request.headers).map((name) => name.toLowerCase()));
  const lines = [`${request.method} ${request.path} HTTP/${request.http_version ?? '1.1'}`];
  if (request.no_host !== true && !named.has('host')) lines.push('Host: localhost');
  for (const [name, value] of Object.entries(request.headers)) {
    for (const one of typeof value === 'string' ? [value] : value) lines.push(`${name}: ${one}`);
  }
  const { chunk_sizes: chunks } = request;
  if (chunks !== undefined && !named.has('transfer-encoding')) lines.push('Transfer-Encoding: chunked');
  else if (chunks === undefined && hasBody && !named.has('content-length') && !named.has('transfer-encoding')) {
    lines.push(`Content-Length: ${content.byteLength}`);
  }
  return { head: Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body: chunks === undefined ? content : chunked(content, chunks) };
}

function chunked(content: Buffer, sizes: readonly number[]): Buffer {
  const parts: Buffer[] = [];
  let offset = 0;
  for (const size of [...sizes, content.byteLength]) {
    const part = content.subarray(offset, offset + size);
    offset += part.byteLength;
    if (part.byteLength > 0) parts.push(Buffer.from(`${part.byteLength.toString(16)}\r\n`), part, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

function parseAnswer(
  bytes: Buffer,
  method: string,
  ended: boolean,
): { readonly answer: Omit<RawAnswer, 'interim'>; readonly length: number } | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [first = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const status = Number(/^HTTP\/1\.\d (\d{3})/.exec(first)?.[1]);
  if (Number.isNaN(status)) return undefined;
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const start = headEnd + 4;
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) {
    return { answer: { status, headers, body: Buffer.alloc(0) }, length: start };
  }
  const framed = headers['transfer-encoding'] === 'chunked' ? unchunk(bytes, start) : sized(bytes, start, headers, ended);
  return framed === undefined ? undefined : { answer: { status, headers, body: decoded(framed.body, headers) }, length: framed.end };
}

function sized(bytes: Buffer, start: number, headers: RawAnswer['headers'], ended: boolean) {
  const length = headers['content-length'];
  if (length === undefined) return ended ? { body: bytes.subarray(start), end: bytes.byteLength } : undefined;
  const end = start + Number(length);
  return bytes.byteLength < end ? undefined : { body: bytes.subarray(start, end), end };
}

function unchunk(bytes: Buffer, start: number): { readonly body: Buffer; readonly end: number } | undefined {
  const parts: Buffer[] = [];
  let at = start;
  for (;;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    const end = line + 2 + size + 2;
    if (bytes.byteLength < end) return undefined;
    if (size === 0) return { body: Buffer.concat(parts), end };
    parts.push(bytes.subarray(line + 2, line + 2 + size));
    at = end;
  }
}

function decoded(body: Buffer, headers: RawAnswer['headers']): Buffer {
  if (headers['content-encoding'] === 'gzip') return gunzipSync(body);
  return headers['content-encoding'] === 'deflate' ? inflateSync(body) : body;
}
