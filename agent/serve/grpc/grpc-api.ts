import type { Recipient } from '#agent/inference/contract.js';
import type { ProtoFile } from '#shared/protobuf/descriptor.js';
import { decode } from '#shared/protobuf/decode.js';
import { encode } from '#shared/protobuf/encode.js';
import type { FieldTable, MessageInit, MessageOf, MessageType, Rpc, ServiceType } from '#shared/protobuf/schema.js';
import type { SkerryError } from '#shared/kernel/errors.js';
import type { Millis } from '#shared/kernel/time.js';
import type { CallKind } from '../requests.js';

/** A request over gRPC as a method sees it. Its caller has gone once it has cancelled, or its deadline has passed. */
export interface GrpcExchange extends Recipient {
  /** Entry of the metadata, by its name in lower case. */
  readonly header: (name: string) => string | undefined;
  /** Time until the caller gives up; undefined where it set no deadline. */
  timeLeft(): Millis | undefined;
  /** The memory of the message is this request's alone. */
  readonly owned: boolean;
}

/** A message that was read and asks for something. */
interface GrpcRequest {
  readonly call: CallKind;
  /** As the client wrote it. */
  readonly model: string | undefined;
  readonly answer: (exchange: GrpcExchange) => Promise<Buffer>;
  /** What tells an error within a stream; left out: the error ends the call. */
  readonly refused?: (error: SkerryError) => Buffer;
}

/** A method that has one answer for each message. In a stream, answers come in the order of the messages. */
interface AnsweringMethod {
  readonly streaming: 'none' | 'both';
  /** Reads the message. Errors: as `decode`. */
  readonly open: (bytes: Uint8Array) => GrpcRequest;
}

/** A method that has answers until the caller ends the call. */
export interface WatchingMethod {
  readonly streaming: 'answers';
  readonly call: CallKind;
  readonly watch: (bytes: Uint8Array, signal: AbortSignal) => AsyncGenerator<Buffer, void>;
}

export type GrpcMethod = AnsweringMethod | WatchingMethod;

/** A service with a method for each of its calls. */
export interface GrpcService {
  readonly service: ServiceType;
  readonly methods: Readonly<Record<string, GrpcMethod>>;
}

/** One API over gRPC. */
export interface GrpcApi {
  readonly services: readonly GrpcService[];
  /** What declares the services, for clients that have no .proto at hand. */
  readonly protos: readonly ProtoFile[];
}

interface Handler<Request, Answer> {
  /** What a message is about. */
  readonly call: CallKind | ((request: Request) => CallKind);
  readonly model?: (request: Request) => string;
  readonly answer: (request: Request, exchange: GrpcExchange) => Promise<Answer> | Answer;
}

interface StreamHandler<Request, Answer> extends Handler<Request, Answer> {
  readonly refused?: (error: SkerryError, request: Request) => Answer;
}

/** A method with one message and one answer. */
export function unary<Q extends FieldTable, A extends FieldTable>(
  rpc: Rpc<MessageType<Q>, MessageType<A>, 'none'>,
  handler: Handler<MessageOf<MessageType<Q>>, MessageInit<MessageType<A>>>,
): GrpcMethod {
  return { streaming: 'none', open: opening(rpc, handler) };
}

/** A method with a stream of messages, each of which has one answer. */
export function eachInStream<Q extends FieldTable, A extends FieldTable>(
  rpc: Rpc<MessageType<Q>, MessageType<A>, 'both'>,
  handler: StreamHandler<MessageOf<MessageType<Q>>, MessageInit<MessageType<A>>>,
): GrpcMethod {
  return { streaming: 'both', open: opening(rpc, handler) };
}

/** A method with one message and a stream of answers. */
export function watching<Q extends FieldTable, A extends FieldTable>(
  { request: requestType, answer: answerType }: Rpc<MessageType<Q>, MessageType<A>, 'answers'>,
  call: CallKind,
  watch: (request: MessageOf<MessageType<Q>>, signal: AbortSignal) => AsyncIterable<MessageInit<MessageType<A>>>,
): GrpcMethod {
  return {
    streaming: 'answers',
    call,
    watch: async function* (bytes, signal) {
      for await (const answer of watch(decode(requestType, bytes), signal)) yield encode(answerType, answer);
    },
  };
}

function opening<Q extends FieldTable, A extends FieldTable>(
  rpc: Pick<Rpc<MessageType<Q>, MessageType<A>>, 'request' | 'answer'>,
  { call, model, answer, refused }: StreamHandler<MessageOf<MessageType<Q>>, MessageInit<MessageType<A>>>,
): AnsweringMethod['open'] {
  return (bytes) => {
    const request = decode(rpc.request, bytes);
    return {
      call: typeof call === 'function' ? call(request) : call,
      model: model?.(request),
      answer: async (exchange) => encode(rpc.answer, await answer(request, exchange)),
      ...(refused === undefined ? {} : { refused: (error) => encode(rpc.answer, refused(error, request)) }),
    };
  };
}
