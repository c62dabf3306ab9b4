import { SkerryError } from '#shared/kernel/errors.js';
import type { DialectDeps } from '../../dialect.js';
import type { Exchange, Handler, HttpRoute } from '../../http/exchange.js';
import { jsonAnswer } from '../../http/json-answer.js';
import { bad, type JsonObject, optionalCountAt, stringAt } from '../../json/fields.js';
import { type Region, REGION_NAME_LENGTH } from '../../shared-memory/shared-memory.js';
import { bodyObject, DONE, neededObject } from './oip-json.js';

const SYSTEM = '/v2/systemsharedmemory';
const CUDA = '/v2/cudasharedmemory';

/** Triton's shared memory extensions: the system's own; of memory of CUDA devices no region can be registered. */
export function sharedMemoryRoutes({ sharedMemory }: DialectDeps): readonly HttpRoute[] {
  const register: Handler = async (exchange) => {
    await sharedMemory.register(readRegion(await neededObject(exchange), regionOf(exchange)));
    return DONE;
  };
  const unregister: Handler = async ({ params }) => {
    await sharedMemory.unregister(params['region']);
    return DONE;
  };
  const refuse: Handler = async (exchange) => {
    await bodyObject(exchange);
    throw cudaRefused();
  };
  const none: Handler = ({ params }) => {
    const { region } = params;
    if (region === undefined) return jsonAnswer([]);
    throw cudaUnknown(region);
  };
  return [
    { method: 'GET', path: `${SYSTEM}/status`, call: 'metadata', handle: () => jsonAnswer(sharedMemory.list().map(regionDocument)) },
    {
      method: 'GET',
      path: `${SYSTEM}/region/:region/status`,
      call: 'metadata',
      handle: (exchange) => jsonAnswer([regionDocument(sharedMemory.find(regionOf(exchange)))]),
    },
    { method: 'POST', path: `${SYSTEM}/region/:region/register`, call: 'shared-memory', handle: register },
    { method: 'POST', path: `${SYSTEM}/region/:region/unregister`, call: 'shared-memory', handle: unregister },
    { method: 'POST', path: `${SYSTEM}/unregister`, call: 'shared-memory', handle: unregister },
    { method: 'GET', path: `${CUDA}/status`, call: 'metadata', handle: none },
    { method: 'GET', path: `${CUDA}/region/:region/status`, call: 'metadata', handle: none },
    { method: 'POST', path: `${CUDA}/region/:region/register`, call: 'shared-memory', handle: refuse },
    { method: 'POST', path: `${CUDA}/region/:region/unregister`, call: 'shared-memory', handle: () => DONE },
    { method: 'POST', path: `${CUDA}/unregister`, call: 'shared-memory', handle: () => DONE },
  ];
}

/** "System Shared Memory Register Request". */
export function readRegion(document: JsonObject, name: string): Region {
  const key = stringAt(document['key'], 'key', REGION_NAME_LENGTH);
  const offset = optionalCountAt(document['offset'], 'offset') ?? 0;
  const byteSize = optionalCountAt(document['byte_size'], 'byte_size');
  if (byteSize === undefined || byteSize === 0) throw bad('byte_size', 'a whole number of at least 1', document['byte_size']);
  return { name, key, offset, byteSize };
}

export function cudaRefused(): SkerryError {
  return new SkerryError('SERVE_SHARED_MEMORY', 'memory of CUDA devices cannot be shared; use system shared memory');
}

export function cudaUnknown(region: string): SkerryError {
  return new SkerryError('SERVE_SHARED_MEMORY_UNKNOWN', `no region ${JSON.stringify(region.slice(0, 64))} of a CUDA device is registered`);
}

function regionOf({ params }: Exchange): string {
  return stringAt(params['region'], 'the name of the region', REGION_NAME_LENGTH);
}

export function regionDocument({ name, key, offset, byteSize }: Region) {
  return { name, key, offset, byte_size: byteSize };
}
