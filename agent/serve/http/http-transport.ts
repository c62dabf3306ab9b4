import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { foregroundClock } from '#shared/kernel/clock.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Row } from '#shared/kernel/phases.js';
import type { ServeAddress, ServeConfig, ServeSettings } from '../config.js';
import type { Caller, Incoming, RequestKind } from '../requests.js';
import { encoded, wantedCoding } from './answer-coding.js';
import { type Body, type Ends, expectsContinue, readBody } from './body.js';
import type { AllowedHosts } from '../allowed-hosts.js';
import type { BodyMemory } from '../body-memory.js';
import { Cors } from './cors.js';
import type { Exchange, HttpAnswer, HttpApi, HttpRoute } from './exchange.js';
import { errorAnswer } from './json-answer.js';
import { listenTcp, listenUnix } from '../listener.js';
import { refuseTunnel, refuseUnreadable } from './refusals.js';
import { pathOf, Router } from './router.js';
import { writeAnswer } from './write-answer.js';

type HttpAddress = Pick<ServeAddress, 'tcp' | 'unix'>;

interface HttpTransportDeps {
  readonly apis: readonly (HttpApi & { readonly name: string })[];
  /** What stands around every request. */
  readonly requests: Row<Incoming<HttpAnswer>, HttpAnswer>;
  readonly memory: BodyMemory;
  /** Names under which it may be reached over TCP; left out: under all. */
  readonly hosts?: AllowedHosts | undefined;
  readonly config: ServeConfig;
  readonly settings: ServeSettings;
  readonly logger: Logger;
}

/** A route with what its requests are counted as, and how its API tells an error. */
interface Mounted extends HttpRoute {
  readonly kind: RequestKind;
  readonly error: (error: SkerryError) => HttpAnswer;
}

type Target = Pick<Mounted, 'kind' | 'error' | 'handle'>;

interface Found {
  readonly route: Target;
  readonly params: Exchange['params'];
}

const NOBODYS: RequestKind = { api: 'none', call: 'unknown' };

/** HTTP on TCP and on a Unix socket. It carries requests to the routes of every API and their answers back. */
export class HttpTransport implements Service {
  readonly #deps: HttpTransportDeps;
  readonly #router: Router<Mounted>;
  readonly #cors: Cors;
  readonly #memory: BodyMemory;
  readonly #servers: Server[] = [];
  /** The newest request of each connection. */
  readonly #last = new WeakMap<Duplex, Ends>();
  #address: HttpAddress = { tcp: undefined, unix: undefined };
  #closing: Promise<void> | undefined;

  constructor(deps: HttpTransportDeps) {
    this.#deps = deps;
    this.#memory = deps.memory;
    this.#cors = new Cors(deps.config.corsOrigins ?? []);
    this.#router = new Router(
      deps.apis.flatMap(({ name, routes, error }) => routes.map((route) => ({ ...route, error, kind: { api: name, call: route.call } }))),
    );
  }

  get address(): HttpAddress {
    return this.#address;
  }

  async start(): Promise<void> {
    const { tcp, unix } = this.#deps.config;
    try {
      if (tcp !== undefined) {
        const port = await listenTcp(this.#newServer('tcp'), tcp.host, tcp.port);
        this.#address = { ...this.#address, tcp: { host: tcp.host, port } };
      }
      if (unix !== undefined) {
        if (await listenUnix(this.#newServer('unix'), unix.path)) this.#address = { ...this.#address, unix: unix.path };
        else this.#deps.logger.warn({ path: unix.path }, 'no Unix socket: the disk is read-only');
      }
    } catch (cause) {
      await this.close();
      throw cause;
    }
    this.#deps.logger.info({ ...this.#address }, 'local API listens');
  }

  close(): Promise<void> {
    const { closeGrace } = this.#deps.settings;
    this.#closing ??= Promise.all(this.#servers.map((server) => closeServer(server, closeGrace))).then(() => undefined);
    return this.#closing;
  }

  #newServer(transport: Caller['transport']): Server {
    const { requestTimeout, idleTimeout, maxConnections } = this.#deps.settings;
    const server = createServer({
      requestTimeout,
      headersTimeout: requestTimeout,
      keepAliveTimeout: idleTimeout,
      connectionsCheckingInterval: Math.max(50, Math.min(5_000, requestTimeout / 4)),
      noDelay: true,
      // Checked with the rest, so that its error has our form.
      requireHostHeader: false,
    });
    server.timeout = idleTimeout;
    server.maxConnections = maxConnections;
    const serve = (request: IncomingMessage, response: ServerResponse): void => void this.#serve({ request, response }, transport);
    server.on('request', serve);
    // Whether the body is wanted shows when it is read.
    server.on('checkContinue', serve);
    server.on('checkExpectation', serve);
    server.on('connect', refuseTunnel);
    server.on('clientError', (cause, socket) => refuseUnreadable(cause, socket, this.#last.get(socket)));
    this.#servers.push(server);
    return server;
  }

  async #serve(ends: Ends, transport: Caller['transport']): Promise<void> {
    const { request } = ends;
    const { socket } = request;
    this.#last.set(socket, ends);
    // A connection with a prediction in it is not idle: how long that may take is the data plane's to say, which always answers.
    socket.setTimeout(0);
    const answer = await this.#answer(ends, transport);
    socket.setTimeout(this.#deps.settings.idleTimeout);
    await writeAnswer(ends, answer);
  }

  /** Never rejects: what goes wrong is an answer in the form of the API. */
  async #answer(ends: Ends, transport: Caller['transport']): Promise<HttpAnswer> {
    const { request } = ends;
    const { route, params } = this.#find(request, transport);
    const told = new ToldHeaders(this.#cors.headersFor(request.headers));
    let answer: HttpAnswer;
    try {
      answer = await this.#deps.requests.run({
        kind: route.kind,
        what: `${request.method} ${request.url}`,
        model: params['model'],
        caller: new HttpCaller(request, transport),
        tell: (name, value) => told.add(name, value),
        answer: async () => {
          this.#cors.check(request.headers, route.kind.call);
          return route.handle(new HttpExchange(ends, params, this.#deps.settings.bodyLimit, this.#memory));
        },
      });
    } catch (cause) {
      answer = route.error(asSkerryError(cause));
    }
    return inCoding(told.onto(answer), route, request);
  }

  #find(request: IncomingMessage, transport: Caller['transport']): Found {
    const refusal = headProblem(request, transport === 'tcp' ? this.#deps.hosts : undefined);
    if (refusal !== undefined) return refusing(refusal);
    const preflight = this.#cors.preflight(request.method, request.headers);
    if (preflight !== undefined) return { route: { kind: NOBODYS, handle: () => preflight, error: errorAnswer }, params: {} };
    const path = pathOf(request.url ?? '/');
    const match = this.#router.match(request.method ?? '', path);
    if (match.kind === 'found') return match;
    if (match.kind === 'unknown') return refusing(new SkerryError('SERVE_PATH_UNKNOWN', `no such path: ${path.slice(0, 256)}`));
    const allow = match.allow.join(', ');
    // In the form of the API whose path it is.
    const { error } = match.route;
    return refusing(new SkerryError('SERVE_METHOD', `${request.method} is not allowed here, only ${allow}`), { allow }, error);
  }
}

class HttpExchange implements Exchange {
  readonly params: Exchange['params'];
  readonly #ends: Ends;
  readonly #bodyLimit: number;
  readonly #memory: BodyMemory;

  constructor(ends: Ends, params: Exchange['params'], bodyLimit: number, memory: BodyMemory) {
    this.params = params;
    this.#ends = ends;
    this.#bodyLimit = bodyLimit;
    this.#memory = memory;
  }

  get query(): Exchange['query'] {
    const { url = '' } = this.#ends.request;
    const mark = url.indexOf('?');
    return new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  }

  get headers(): Exchange['headers'] {
    return this.#ends.request.headers;
  }

  body(limit = this.#bodyLimit, alignedAt = 0): Promise<Body> {
    return readBody(this.#ends, { limit, alignedAt }, this.#memory);
  }

  abandoned(): boolean {
    return this.#ends.response.destroyed;
  }

  onAbandoned(listener: () => void): void {
    this.#ends.response.on('close', listener);
  }
}

class HttpCaller implements Caller {
  readonly transport: Caller['transport'];
  readonly header: Caller['header'];
  readonly #request: IncomingMessage;

  constructor(request: IncomingMessage, transport: Caller['transport']) {
    this.#request = request;
    this.transport = transport;
    this.header = (name) => {
      const value = request.headers[name];
      return typeof value === 'string' ? value : undefined;
    };
  }

  get address(): string | undefined {
    return this.#request.socket.remoteAddress;
  }
}

/** Headers that stand around an answer, beside those of its own. */
class ToldHeaders {
  #headers: Record<string, string> | undefined;

  constructor(first: Readonly<Record<string, string>> | undefined) {
    if (first !== undefined) this.#headers = { ...first };
  }

  add(name: string, value: string): void {
    this.#headers ??= {};
    this.#headers[name] = value;
  }

  onto(answer: HttpAnswer): HttpAnswer {
    return this.#headers === undefined ? answer : { ...answer, headers: { ...answer.headers, ...this.#headers } };
  }
}

/** Predictions may be large; what else is answered is small, and stays readable. */
function inCoding(answer: HttpAnswer, { kind }: Target, { headers, method }: IncomingMessage): Promise<HttpAnswer> | HttpAnswer {
  const accepted = headers['accept-encoding'];
  if (accepted === undefined || kind.call !== 'inference' || answer.status !== 200 || method === 'HEAD') return answer;
  const coding = wantedCoding(accepted);
  return coding === undefined ? answer : encoded(answer, coding);
}

/** A request that no API takes. */
function refusing(error: SkerryError, headers: HttpAnswer['headers'] = {}, form: Target['error'] = errorAnswer): Found {
  const handle = (): never => {
    throw error;
  };
  const answer = (cause: SkerryError): HttpAnswer => {
    const told = form(cause);
    return { ...told, headers: { ...told.headers, ...headers } };
  };
  return { route: { kind: NOBODYS, handle, error: answer }, params: {} };
}

/** What Node would refuse without a body, or let pass. */
function headProblem({ headers, httpVersion }: IncomingMessage, hosts: AllowedHosts | undefined): SkerryError | undefined {
  // RFC 9112, 3.2.
  if (httpVersion === '1.1' && headers.host === undefined) {
    return new SkerryError('SERVE_HTTP', 'an HTTP/1.1 request must have a Host header');
  }
  const stranger = hosts?.problem(headers.host);
  if (stranger !== undefined || headers.expect === undefined || expectsContinue(headers)) return stranger;
  return new SkerryError('SERVE_EXPECTATION', `Expect: ${headers.expect.slice(0, 64)} cannot be met, only 100-continue`);
}

function closeServer(server: Server, grace: number): Promise<void> {
  if (!server.listening) return Promise.resolve();
  return new Promise((resolve) => {
    const cancelForce = foregroundClock.schedule(grace, () => server.closeAllConnections());
    server.close(() => {
      cancelForce();
      resolve();
    });
    server.closeIdleConnections();
  });
}
