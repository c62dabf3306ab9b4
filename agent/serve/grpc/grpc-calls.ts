import {
  Metadata,
  type Server,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Row } from '#shared/kernel/phases.js';
import type { AllowedHosts } from '../allowed-hosts.js';
import type { BodyMemory } from '../body-memory.js';
import type { Incoming, RequestKind } from '../requests.js';
import type { GrpcExchange, GrpcMethod, GrpcService, WatchingMethod } from './grpc-api.js';
import { CallFailed } from './grpc-status.js';

/** Messages of one stream that are worked on at a time; the rest is not read before. */
const STREAM_WINDOW = 16;

type AnsweringMethod = Exclude<GrpcMethod, WatchingMethod>;
type Unary = ServerUnaryCall<Buffer, Buffer>;
type Streaming = ServerDuplexStream<Buffer, Buffer>;
type Watching = ServerWritableStream<Buffer, Buffer>;
type AnyCall = Pick<Unary, 'cancelled' | 'metadata' | 'getPeer' | 'getDeadline' | 'getHost'>;

interface GrpcCallsDeps {
  readonly requests: Row<Incoming<Buffer>, Buffer>;
  readonly memory: BodyMemory;
  readonly hosts: AllowedHosts | undefined;
}

/** A call as it was registered. */
interface Registered {
  readonly api: string;
  readonly path: string;
}

type OnAbandoned = GrpcExchange['onAbandoned'];

/** Where a message came from. */
interface From {
  readonly call: AnyCall;
  readonly onAbandoned: OnAbandoned;
}

const same = (bytes: Buffer): Buffer => bytes;

/** Runs the calls of every API in the row of phases that stands around each request. Messages pass the carrier as their bytes. */
export class GrpcCalls {
  readonly #deps: GrpcCallsDeps;
  /** Streams that would go on until their callers end them. */
  readonly #watches = new Set<AbortController>();
  #isClosed = false;

  constructor(deps: GrpcCallsDeps) {
    this.#deps = deps;
  }

  /** Ends what would never end; what has an answer to come still gets it. */
  close(): void {
    this.#isClosed = true;
    for (const watch of this.#watches) watch.abort();
  }

  register(server: Server, api: string, { service, methods }: GrpcService): void {
    for (const [name, method] of Object.entries(methods)) {
      const path = `/${service.name}/${name}`;
      const as = { api, path };
      if (method.streaming === 'answers') {
        const watch = (call: Watching): void => void this.#watch(as, method, call);
        server.register(path, watch, same, same, 'serverStream');
      } else if (method.streaming === 'both') {
        const stream = (call: Streaming): void => void this.#stream(as, method, call);
        server.register(path, stream, same, same, 'bidi');
      } else {
        const unary = (call: Unary, respond: sendUnaryData<Buffer>): void => void this.#unary(as, method, call, respond);
        server.register(path, unary, same, same, 'unary');
      }
    }
  }

  async #unary(as: Registered, method: AnsweringMethod, call: Unary, respond: sendUnaryData<Buffer>): Promise<void> {
    const told = new Metadata();
    try {
      const onAbandoned: OnAbandoned = (listener) => void call.once('cancelled', listener);
      respond(null, await this.#answer(as, method, { call, onAbandoned }, call.request, told), told);
    } catch (cause) {
      respond(new CallFailed(asSkerryError(cause), told));
    }
  }

  /** Answers each message in the order they came; up to as many as the window has run at once. */
  async #stream(as: Registered, method: AnsweringMethod, call: Streaming): Promise<void> {
    const told = new Metadata();
    const fail = (cause: unknown): void => {
      if (!call.cancelled) call.emit('error', new CallFailed(asSkerryError(cause), told));
    };
    let last = Promise.resolve();
    const underWay: Promise<void>[] = [];
    const leaving = new Set<() => void>();
    call.once('cancelled', () => {
      for (const listener of leaving) listener();
    });
    try {
      for await (const message of messagesOf(call)) {
        const answer = whileAnswering(leaving, (onAbandoned) => this.#answer(as, method, { call, onAbandoned }, message, told));
        last = inOrder(last, answer, (bytes) => send(call, bytes));
        last.catch(fail);
        underWay.push(last);
        if (underWay.length >= STREAM_WINDOW) await underWay.shift();
      }
      await last;
      call.end();
    } catch (cause) {
      fail(cause);
    }
  }

  async #watch({ api, path }: Registered, method: WatchingMethod, call: Watching): Promise<void> {
    const told = new Metadata();
    const ending = new AbortController();
    call.once('cancelled', () => ending.abort());
    this.#watches.add(ending);
    if (this.#isClosed) ending.abort();
    const answers = method.watch(call.request, ending.signal);
    try {
      // What may be asked is judged once; the first answer is part of that.
      const first = await this.#run({ api, call: method.call }, path, call, told, undefined, async () => {
        this.#checkHost(call);
        return nextOf(answers);
      });
      await send(call, first);
      for (let step = await answers.next(); step.done !== true; step = await answers.next()) await send(call, step.value);
      call.end();
    } catch (cause) {
      if (!call.cancelled) call.emit('error', new CallFailed(asSkerryError(cause), told));
    } finally {
      this.#watches.delete(ending);
    }
  }

  async #answer({ api, path }: Registered, method: AnsweringMethod, from: From, bytes: Buffer, told: Metadata): Promise<Buffer> {
    const { call } = from;
    let release: (() => void) | undefined;
    let request;
    try {
      this.#checkHost(call);
      // The carrier has put the message together; it stays in memory until it is answered.
      release = this.#deps.memory.hold(bytes.byteLength);
      request = method.open(bytes);
    } catch (cause) {
      release?.();
      const refuse = (): Promise<Buffer> => Promise.reject(asSkerryError(cause));
      return this.#run({ api, call: 'unknown' }, path, call, told, undefined, refuse);
    }
    const { answer, refused, model } = request;
    const answering = this.#run({ api, call: request.call }, path, call, told, model, () => answer(exchangeOf(from, bytes))).finally(
      release,
    );
    return refused === undefined ? answering : answering.catch((cause: unknown) => refused(asSkerryError(cause)));
  }

  #checkHost(call: AnyCall): void {
    const problem = this.#deps.hosts?.problem(call.getHost());
    if (problem !== undefined) throw problem;
  }

  #run(
    kind: RequestKind,
    path: string,
    call: AnyCall,
    told: Metadata,
    model: string | undefined,
    answer: () => Promise<Buffer>,
  ): Promise<Buffer> {
    return this.#deps.requests.run({
      kind,
      what: path,
      model,
      caller: { transport: 'tcp', address: addressOf(call.getPeer()), header: (name) => headerOf(call.metadata, name) },
      tell: (name, value) => told.set(name, value),
      answer,
    });
  }
}

/** Who hears of it when a call is cancelled: each message for as long as it is being answered. */
async function whileAnswering(leaving: Set<() => void>, answer: (onAbandoned: OnAbandoned) => Promise<Buffer>): Promise<Buffer> {
  const mine: (() => void)[] = [];
  try {
    return await answer((listener) => {
      mine.push(listener);
      leaving.add(listener);
    });
  } finally {
    for (const listener of mine) leaving.delete(listener);
  }
}

async function nextOf(answers: AsyncGenerator<Buffer, void>): Promise<Buffer> {
  const { value } = await answers.next();
  return value ?? Buffer.alloc(0);
}

function exchangeOf({ call, onAbandoned }: From, bytes: Buffer): GrpcExchange {
  const deadline = call.getDeadline();
  const until = deadline instanceof Date ? deadline.getTime() : deadline;
  return {
    header: (name) => headerOf(call.metadata, name),
    timeLeft: () => (Number.isFinite(until) ? Math.max(0, until - Date.now()) : undefined),
    abandoned: () => call.cancelled,
    onAbandoned,
    // The carrier puts a message together in memory of its own, behind the five bytes of its frame; small ones share a pool.
    owned: bytes.byteOffset <= FRAME_BYTES && bytes.byteOffset + bytes.byteLength === bytes.buffer.byteLength,
  };
}

const FRAME_BYTES = 5;

function headerOf(metadata: Metadata, name: string): string | undefined {
  const [value] = metadata.get(name);
  return typeof value === 'string' ? value : undefined;
}

/** The address in what the carrier calls a peer: `127.0.0.1:50123`, `[::1]:50123`. */
function addressOf(peer: string): string | undefined {
  return /^\[?([0-9a-f.:]+?)\]?:\d+$/i.exec(peer)?.[1];
}

async function* messagesOf(call: Streaming): AsyncGenerator<Buffer, void> {
  // The iterator would destroy the whole stream, with the answers that are still to be written.
  const messages: AsyncIterable<unknown> = call.iterator({ destroyOnReturn: false });
  for await (const message of messages) {
    if (!Buffer.isBuffer(message)) throw new SkerryError('INTERNAL', 'the carrier handed over something else than the bytes of a message');
    yield message;
  }
}

async function inOrder(before: Promise<void>, answer: Promise<Buffer>, write: (bytes: Buffer) => Promise<void>): Promise<void> {
  const [, bytes] = await Promise.all([before, answer]);
  await write(bytes);
}

/** Resolves once more may be written. */
function send(call: Watching | Streaming, bytes: Buffer): Promise<void> {
  if (call.destroyed || call.write(bytes)) return Promise.resolve();
  return new Promise((resolve) => {
    const go = (): void => {
      call.off('drain', go);
      call.off('close', go);
      resolve();
    };
    call.once('drain', go);
    call.once('close', go);
  });
}
