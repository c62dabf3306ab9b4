import {
  Client,
  credentials,
  type ChannelCredentials,
  Metadata,
  type CallOptions,
  type ClientOptions,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';
import { decode } from '#shared/protobuf/decode.js';
import { encode } from '#shared/protobuf/encode.js';
import type { FieldTable, MessageInit, MessageOf, MessageType, Rpc } from '#shared/protobuf/schema.js';

export interface Answered<T> {
  /** Name of the code is its number here: 0 is OK. */
  readonly code: number;
  readonly message: string;
  readonly answers: readonly T[];
  /** Code of Skerry's error, from the metadata. */
  readonly skerry: string | undefined;
}

interface CallSettings {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly options?: CallOptions;
}

/** A client over our own tables of messages. It hands over statuses instead of throwing them. */
export class GrpcTestClient {
  readonly #client: Client;

  constructor(address: string, channel: ChannelCredentials = credentials.createInsecure(), options: ClientOptions = {}) {
    const sizes = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };
    this.#client = new Client(address, channel, { ...sizes, ...options });
  }

  close(): void {
    this.#client.close();
  }

  unary<Q extends FieldTable, A extends FieldTable>(
    path: string,
    rpc: Rpc<MessageType<Q>, MessageType<A>, 'none'>,
    request: MessageInit<MessageType<Q>>,
    settings: CallSettings = {},
  ): Promise<Answered<MessageOf<MessageType<A>>>> {
    return this.raw(path, encode(rpc.request, request), settings).then((answered) => decoded(rpc.answer, answered));
  }

  raw(path: string, bytes: Buffer, { metadata, options = {} }: CallSettings = {}): Promise<Answered<Buffer>> {
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        path,
        same,
        same,
        bytes,
        metadataOf(metadata),
        options,
        (error: ServiceError | null, value?: Buffer) => {
          if (error !== null) resolve({ ...outcome(error), answers: [] });
          else resolve({ code: 0, message: '', skerry: undefined, answers: value === undefined ? [] : [value] });
        },
      );
    });
  }

  /** Sends all requests, ends its side, and collects the answers. */
  stream<Q extends FieldTable, A extends FieldTable>(
    path: string,
    rpc: Rpc<MessageType<Q>, MessageType<A>, 'both'>,
    requests: readonly MessageInit<MessageType<Q>>[],
    { metadata, options = {} }: CallSettings = {},
  ): Promise<Answered<MessageOf<MessageType<A>>>> {
    const call = this.#client.makeBidiStreamRequest(path, same, same, metadataOf(metadata), options);
    const answers: Buffer[] = [];
    call.on('data', (bytes: Buffer) => answers.push(bytes));
    call.on('error', () => undefined);
    for (const request of requests) call.write(encode(rpc.request, request));
    call.end();
    return new Promise((resolve) => {
      call.on('status', (status: StatusObject) => resolve(decoded(rpc.answer, { ...outcome(status), answers })));
    });
  }

  /** Collects answers until `enough` says so, then cancels. */
  watch<Q extends FieldTable, A extends FieldTable>(
    path: string,
    rpc: Rpc<MessageType<Q>, MessageType<A>, 'answers'>,
    request: MessageInit<MessageType<Q>>,
    onAnswer: (answer: MessageOf<MessageType<A>>, cancel: () => void) => void,
  ): Promise<number> {
    const call = this.#client.makeServerStreamRequest(path, same, same, encode(rpc.request, request), new Metadata());
    call.on('data', (bytes: Buffer) => onAnswer(decode(rpc.answer, bytes), () => call.cancel()));
    call.on('error', () => undefined);
    return new Promise((resolve) => {
      call.on('status', ({ code }: StatusObject) => resolve(code));
    });
  }
}

const same = (bytes: Buffer): Buffer => bytes;

function metadataOf(entries: Readonly<Record<string, string>> = {}): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return metadata;
}

function outcome({ code, details, metadata }: StatusObject): Omit<Answered<never>, 'answers'> {
  const [skerry] = metadata.get('skerry-code');
  return { code, message: details, skerry: typeof skerry === 'string' ? skerry : undefined };
}

function decoded<A extends FieldTable>(type: MessageType<A>, answered: Answered<Buffer>): Answered<MessageOf<MessageType<A>>> {
  return { ...answered, answers: answered.answers.map((bytes) => decode(type, bytes)) };
}
