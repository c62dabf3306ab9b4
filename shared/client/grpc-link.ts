import { type ChannelCredentials, Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { fromErrorBody, SkerryError } from '#shared/kernel/errors.js';
import type { Bounds, CallName, Calls, Link } from './calls.js';
import { CallFailure } from './call-failure.js';
import { GRPC_CALLS } from './grpc-calls.js';

// This file loads @grpc/grpc-js: only `connect` imports it, when an address asks for it.

/** Entry of the metadata with the code of an error. */
const CODE_FIELD = 'skerry-code';

interface GrpcLinkOptions {
  /** `HOST:PORT`. */
  readonly address: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly maxAnswerBytes: number;
  /** PEM; undefined for a connection in the clear. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined;
}

/** Calls over gRPC. */
export class GrpcLink implements Link {
  readonly #client: Client;
  readonly #metadata = new Metadata();

  constructor({ address, headers, maxAnswerBytes, tls }: GrpcLinkOptions) {
    this.#client = new Client(address, tls === undefined ? credentials.createInsecure() : secure(tls), {
      'grpc.max_receive_message_length': maxAnswerBytes,
      'grpc.max_send_message_length': -1,
    });
    for (const [name, value] of Object.entries(headers)) this.#metadata.set(name, value);
  }

  async call<K extends CallName>(name: K, sent: Calls[K]['sent'], { signal, left }: Bounds): Promise<Calls[K]['answer']> {
    const call = GRPC_CALLS[name];
    if (call === undefined) throw new SkerryError('CLIENT_UNSUPPORTED', `the call "${name}" is not in the protocol over gRPC`);
    return call.read(await this.#unary(call.method, call.write(sent, left), signal));
  }

  close(): void {
    this.#client.close();
  }

  #unary(method: string, bytes: Buffer, signal: AbortSignal): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        method,
        same,
        same,
        bytes,
        this.#metadata,
        (error: ServiceError | null, answer?: Buffer) => {
          signal.removeEventListener('abort', cancel);
          if (error === null) resolve(answer ?? Buffer.alloc(0));
          else reject(failureOf(error));
        },
      );
      const cancel = (): void => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
    });
  }
}

const same = (bytes: Buffer): Buffer => bytes;

function secure({ ca, cert, key }: NonNullable<GrpcLinkOptions['tls']>): ChannelCredentials {
  const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));
  return credentials.createSsl(pem(ca), pem(key), pem(cert));
}

function failureOf(error: ServiceError): CallFailure {
  const [code] = error.metadata.get(CODE_FIELD);
  const message = error.details;
  if (typeof code === 'string') return new CallFailure(fromErrorBody({ code, message }), 'final');
  if (error.code !== status.UNAVAILABLE) {
    const details = { status: status[error.code] };
    return new CallFailure(new SkerryError('CLIENT_REFUSED', `the server answered ${details.status}: ${message}`, { details }), 'final');
  }
  // grpc-js says so before a call has a connection, and sends calls again by itself where the server saw nothing of them.
  if (message.startsWith('No connection established')) {
    return new CallFailure(new SkerryError('CLIENT_UNREACHABLE', `the server cannot be reached: ${message}`, { cause: error }), 'unsent');
  }
  return new CallFailure(
    new SkerryError('CLIENT_CONNECTION_LOST', `the connection to the server ended: ${message}`, { cause: error }),
    'final',
  );
}
