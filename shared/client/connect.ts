import { Agent, request } from 'node:http';
import { SkerryError } from '#shared/kernel/errors.js';
import { systemClock } from '#shared/kernel/clock.js';
import { minutes, type Millis, seconds } from '#shared/kernel/time.js';
import type { AttemptDeps } from './attempts.js';
import type { Link } from './calls.js';
import { Client } from './client.js';
import { HttpLink } from './http-link.js';

export interface ConnectOptions {
  /** Headers (metadata of gRPC) of every request, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Time for a call with all of its attempts, unless the call says otherwise (default one minute; Infinity for no limit). */
  readonly timeout?: Millis;
  /** How much longer the answer of a prediction is waited for than the server may take, so that the server's own error arrives (default one second). */
  readonly margin?: Millis;
  /** Further attempts after one that failed without effect (default 2). */
  readonly retries?: number;
  /** Size of an answer (default 1 GiB). */
  readonly maxAnswerBytes?: number;
  /** For `https:` and `grpcs:`, in PEM. */
  readonly tls?: TlsOptions;
}

export interface TlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

type Settings = Required<Pick<ConnectOptions, 'headers' | 'maxAnswerBytes' | 'tls'>>;

const DEFAULTS = { headers: {}, timeout: minutes(1), margin: seconds(1), retries: 2, maxAnswerBytes: 2 ** 30, tls: {} };

/** How each kind of address is reached. What only some need is loaded when one of them is opened. */
const LINKS: ReadonlyMap<string, (address: URL, settings: Settings) => Promise<Link>> = new Map([
  ['http:', async (address: URL, settings: Settings) => plainLink({ host: hostOf(address), port: address.port || 80 }, settings)],
  ['https:', secureLink],
  ['grpc:', async (address: URL, settings: Settings) => grpcLink(address, settings, undefined)],
  ['grpcs:', async (address: URL, settings: Settings) => grpcLink(address, settings, settings.tls)],
]);

const SOCKET = /^unix:(?:\/\/(?=\/))?(?<path>.+)$/s;

/**
 * A client of the server at an address: `http://HOST:PORT`, `https://...`, `grpc://HOST:PORT`, `grpcs://...`, or
 * `unix:/PATH` of a socket. Nothing is sent before the first
 * call. Errors: `CLIENT_ADDRESS`.
 */
export async function connect(address: string, options: ConnectOptions = {}): Promise<Client> {
  const { timeout, margin, retries, ...settings } = { ...DEFAULTS, ...options };
  return new Client(await openLink(address, settings), { timeout, margin, retries }, SYSTEM);
}

const SYSTEM: AttemptDeps = { clock: systemClock, random: Math.random };

async function openLink(address: string, settings: Settings): Promise<Link> {
  // The path of a socket may have characters that mean something else in a URL.
  const socketPath = SOCKET.exec(address)?.groups?.['path'];
  if (socketPath !== undefined) return plainLink({ socketPath }, settings);
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const open = LINKS.get(url?.protocol ?? '');
  if (url !== undefined && open !== undefined) return open(url, settings);
  throw new SkerryError('CLIENT_ADDRESS', `${JSON.stringify(address)} is not an address of a server`);
}

/** Without the brackets of an IPv6 address. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function plainLink(
  where: { readonly host?: string; readonly port?: string | number; readonly socketPath?: string },
  settings: Settings,
): Link {
  const agent = new Agent({ keepAlive: true });
  return new HttpLink({ request, where, agent, maxAnswerBytes: settings.maxAnswerBytes }, settings.headers);
}

async function secureLink(address: URL, { headers, maxAnswerBytes, tls }: Settings): Promise<Link> {
  const https = await import('node:https');
  const agent = new https.Agent({ keepAlive: true, ...tls });
  const where = { host: hostOf(address), port: address.port || 443 };
  return new HttpLink({ request: https.request, where, agent, maxAnswerBytes }, headers);
}

async function grpcLink(address: URL, { headers, maxAnswerBytes }: Settings, tls: TlsOptions | undefined): Promise<Link> {
  const { GrpcLink } = await import('./grpc-link.js');
  return new GrpcLink({ address: address.host, headers, maxAnswerBytes, tls });
}
