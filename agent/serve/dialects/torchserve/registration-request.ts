import { SkerryError } from '#shared/kernel/errors.js';
import type { Exchange } from '../../http/exchange.js';
import { isObject } from '../../json/fields.js';
import { readingBody, readPythonJson } from '../../json/python-json.js';

const BODY_BYTES = 64 * 1024;

/** A request to register a model of the repository. */
export interface Registration {
  /** As the client wrote it. */
  readonly url: string;
  /** Name in the repository that the URL stands for. */
  readonly model: string;
  readonly workers: 0 | 1;
}

/** What a client may ask of a model that a folder of a repository says already; another value is refused by name. */
const FIXED: readonly (readonly [string, readonly string[], string])[] = [
  ['handler', [], 'models run in ONNX Runtime, without a handler'],
  ['runtime', [], 'models run in ONNX Runtime'],
  ['batch_size', ['1'], 'batching is set in the configuration of the model'],
  ['response_timeout', [], 'clients set a timeout with each request'],
  ['startup_timeout', [], 'loading has no timeout'],
];

/** Reads a registration from the query, or from the members of a JSON body. Errors: `SERVE_REQUEST`, `SERVE_UNSUPPORTED`, `INFERENCE_MODEL_UNKNOWN`. */
export async function readRegistration(exchange: Exchange): Promise<Registration> {
  const parameter = exchange.query.has('url') ? (name: string) => exchange.query.get(name) ?? undefined : await bodyParameters(exchange);
  const url = parameter('url');
  if (url === undefined || url === '') throw new SkerryError('SERVE_REQUEST', 'Parameter url is required.');
  const model = modelOfUrl(url);
  const name = parameter('model_name') ?? model;
  if (name !== model) {
    throw new SkerryError('SERVE_UNSUPPORTED', `model_name ${shown(name)}: a model has the name of its folder, which is ${shown(model)}`);
  }
  for (const [key, accepted, why] of FIXED) {
    const value = parameter(key);
    if (value !== undefined && !accepted.includes(value)) throw new SkerryError('SERVE_UNSUPPORTED', `${key}=${shown(value)}: ${why}`);
  }
  return { url, model, workers: workers(parameter('initial_workers')) };
}

type Parameter = (name: string) => string | undefined;

async function bodyParameters(exchange: Exchange): Promise<Parameter> {
  if (exchange.headers['content-type']?.startsWith('application/json') !== true) return () => undefined;
  const { bytes } = await exchange.body(BODY_BYTES);
  const document = await readingBody(bytes, readPythonJson(bytes, 'the body', 0));
  if (!isObject(document)) return () => undefined;
  return (name) => {
    const value = Object.hasOwn(document, name) ? document[name] : undefined;
    return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : undefined;
  };
}

/** The model that `NAME`, `NAME.onnx`, `NAME.mar`, `NAME/` or a file within `NAME/` stands for. */
function modelOfUrl(url: string): string {
  const segments = url.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (segments.includes('..')) {
    throw new SkerryError('INFERENCE_MODEL_UNKNOWN', `Relative path is not allowed in url: ${url.slice(0, 256)}`);
  }
  const [first = ''] = segments;
  if (url.includes('://') || url.startsWith('/')) throw unknownUrl(url);
  return segments.length === 1 ? first.replace(/\.(?:onnx|mar)$/, '') : first;
}

export function unknownUrl(url: string): SkerryError {
  const advice = 'a model of the repository is registered by its name or a path within the repository';
  return new SkerryError('INFERENCE_MODEL_UNKNOWN', `Model not found at: ${url.slice(0, 256)}; ${advice}`);
}

function workers(text: string | undefined): 0 | 1 {
  const count = wholeNumber('initial_workers', text) ?? 1;
  if (count <= 1) return count === 0 ? 0 : 1;
  throw severalWorkers('initial_workers', count);
}

/** The whole number that a parameter is. Errors: `SERVE_REQUEST`. */
export function wholeNumber(name: string, text: string | null | undefined): number | undefined {
  if (text === null || text === undefined || text === '') return undefined;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new SkerryError('SERVE_REQUEST', `${name} must be a whole number of at least 0, it is ${shown(text)}`);
}

export function severalWorkers(name: string, count: number): SkerryError {
  const advice = 'instances of a model are set in its configuration (instance_group), and appear as one worker';
  return new SkerryError('SERVE_UNSUPPORTED', `${name}=${count}: ${advice}`);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}
