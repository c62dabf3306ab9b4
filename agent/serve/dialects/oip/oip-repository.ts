import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { inTurns } from '#shared/kernel/turns.js';
import { JsonBytes } from '#shared/tensor/json-document.js';
import type { DialectDeps } from '../../dialect.js';
import type { Handler, HttpRoute } from '../../http/exchange.js';
import { jsonAnswer } from '../../http/json-answer.js';
import { bad, type JsonObject, optionalBooleanAt, optionalObjectAt } from '../../json/fields.js';
import type { LoadOverride } from '../../repository.js';
import { repositoryIndex } from './oip-documents.js';
import { bodyObject, DONE } from './oip-json.js';

/** Triton's model repository extension. */
export function repositoryRoutes({ repository }: DialectDeps): readonly HttpRoute[] {
  const index: Handler = async (exchange) => {
    const ready = optionalBooleanAt((await bodyObject(exchange))['ready'], 'ready') ?? false;
    return jsonAnswer(repositoryIndex(repository.index(), ready));
  };
  const load: Handler = async (exchange) => {
    const document = await bodyObject(exchange, { members: (member) => member.startsWith(FILE), limit: LIMITS.repositoryLoadBytes });
    const override = await inTurns(loadOverride(optionalObjectAt(document['parameters'], 'parameters')));
    await repository.load(exchange.params['model'] ?? '', override);
    return DONE;
  };
  const unload: Handler = async (exchange) => {
    const parameters = optionalObjectAt((await bodyObject(exchange))['parameters'], 'parameters');
    const dependents = optionalBooleanAt(parameters['unload_dependents'], 'parameters.unload_dependents') ?? false;
    await repository.unload(exchange.params['model'] ?? '', { dependents });
    return DONE;
  };
  return [
    { method: 'POST', path: '/v2/repository/index', call: 'metadata', handle: index },
    // There is one repository, whatever clients call it.
    { method: 'POST', path: '/v2/repository/:repository/index', call: 'metadata', handle: index },
    { method: 'POST', path: '/v2/repository/models/:model/load', call: 'repository', handle: load },
    { method: 'POST', path: '/v2/repository/models/:model/unload', call: 'repository', handle: unload },
  ];
}

const FILE = 'file:';

/** "Repository Model Load Request": `config` is JSON text, and members `file:PATH` hold files in base64. It can be interrupted where it yields. */
function* loadOverride(parameters: JsonObject): Generator<void, LoadOverride> {
  const files = new Map<string, Uint8Array>();
  let config: string | undefined;
  for (const [name, value] of Object.entries(parameters)) {
    const path = `parameters.${name}`;
    if (name.startsWith(FILE)) files.set(name.slice(FILE.length), yield* decodedFile(value, path));
    else if (name === 'config') config = configText(value, path);
    else throw new SkerryError('SERVE_REQUEST', `${path.slice(0, 128)} is not supported, only config and file:PATH are`);
  }
  return { files, ...(config === undefined ? {} : { config }) };
}

function configText(value: unknown, path: string): string {
  if (typeof value === 'string') return value;
  throw bad(path, 'a string', value);
}

/** Characters decoded at a time, of which four are three bytes: some ten microseconds of work. */
const DECODED_AT_ONCE = 64 * 1024;

function* decodedFile(value: unknown, path: string): Generator<void, Uint8Array> {
  const text = value instanceof JsonBytes ? value.bytes : typeof value === 'string' ? Buffer.from(value, 'latin1') : undefined;
  if (text === undefined) throw bad(path, 'a string', value);
  const padding = text.at(-1) === PAD ? (text.at(-2) === PAD ? 2 : 1) : 0;
  const bytes = Buffer.alloc(Math.max(0, Math.floor(text.byteLength / 4) * 3 - padding));
  let written = 0;
  for (let start = 0; start < text.byteLength; start += DECODED_AT_ONCE) {
    written += bytes.write(Buffer.from(text.subarray(start, start + DECODED_AT_ONCE)).toString('latin1'), written, 'base64');
    yield;
  }
  // What is no character of base64 is passed over, and then too little was written.
  if (text.byteLength % 4 === 0 && written === bytes.byteLength) return bytes;
  throw new SkerryError('SERVE_REQUEST', `${path.slice(0, 128)} is not in base64`);
}

/** The sign at the end of base64 that stands for no byte. */
const PAD = 0x3d;
