import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
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
    const document = await bodyObject(exchange, LIMITS.repositoryLoadBytes);
    await repository.load(exchange.params['model'] ?? '', loadOverride(optionalObjectAt(document['parameters'], 'parameters')));
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

/** "Repository Model Load Request": `config` is JSON text, and members `file:PATH` hold files in base64. */
export function loadOverride(parameters: JsonObject): LoadOverride {
  const files = new Map<string, Uint8Array>();
  let config: string | undefined;
  for (const [name, value] of Object.entries(parameters)) {
    const path = `parameters.${name}`;
    if (typeof value !== 'string') throw bad(path, 'a string', value);
    if (name === 'config') config = value;
    else if (name.startsWith(FILE)) files.set(name.slice(FILE.length), decodedFile(value, path));
    else throw new SkerryError('SERVE_REQUEST', `${path.slice(0, 128)} is not supported, only config and file:PATH are`);
  }
  return { files, ...(config === undefined ? {} : { config }) };
}

function decodedFile(text: string, path: string): Uint8Array {
  if (text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)) return Buffer.from(text, 'base64');
  throw new SkerryError('SERVE_REQUEST', `${path.slice(0, 128)} is not in base64`);
}
