import { z } from 'zod';
import { DESIRED_PAYLOAD_TYPE } from '#shared/trust/desired.js';
import { signEnvelope } from '#shared/trust/dsse.js';
import { generateSigningKey } from '#shared/trust/keys.js';
import { fileName, kindOfFile, readDocument, writeDocument } from './documents.js';

/** A member that no release has: a later one may add any. */
export const LATER = 'laterMember';
const VALUE = { since: 'release 9.0', values: [1, null, 'x'] };

/** The value with a new member in every object in which its schema allows one: not where a person writes, and a typing error is found. */
export function withLaterMembers(schema: z.core.$ZodType, value: unknown): unknown {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (value === null || value === undefined) return value;
  if (def.type === 'object' && isObject(value)) {
    if ((def.catchall as z.core.$ZodTypes | undefined)?._zod.def.type === 'never') return value;
    const members = Object.entries(value).map(([name, member]) => {
      const inner = def.shape[name];
      return [name, inner === undefined ? member : withLaterMembers(inner, member)] as const;
    });
    return { ...Object.fromEntries(members), [LATER]: VALUE };
  }
  if (def.type === 'array' && Array.isArray(value)) return value.map((item) => withLaterMembers(def.element, item));
  if (def.type === 'record' && isObject(value))
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withLaterMembers(def.valueType, member)]));
  if (def.type === 'union') {
    const option = def.options.find((candidate) => z.safeParse(candidate, value).success);
    return option === undefined ? value : withLaterMembers(option, value);
  }
  if (def.type === 'pipe') return withLaterMembers(def.out, value);
  return 'innerType' in def ? withLaterMembers(def.innerType, value) : value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

/**
 * The documents as a later release would write them: new members everywhere, new kinds where sets are open, a feature that this release
 * does not have, and statements signed by a key of its own.
 */
export function laterDocuments(recorded: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> {
  const later = new Map<string, Uint8Array>();
  const put = (file: string, value: unknown): void => void later.set(file, writeDocument(file, value));
  const director = generateSigningKey();
  for (const [file, bytes] of recorded) {
    const value = withLaterMembers(kindOfFile(file).schema, readDocument(file, bytes));
    if (kindOfFile(file).byPerson !== true && !file.startsWith('envelope.') && !file.startsWith('director.')) put(file, value);
  }
  const statement = later.get(fileName('desired', 'model'));
  const keys = readDocument(fileName('director', 'keys'), recorded.get(fileName('director', 'keys')) ?? new Uint8Array());
  if (statement === undefined || !isObject(keys)) throw new Error('a desired state and the keys of a hub are missing');
  put(fileName('director', 'keys'), { ...keys, keys: [director.publicKey], [LATER]: VALUE });
  const envelope = readDocument(fileName('envelope', 'model'), signEnvelope(DESIRED_PAYLOAD_TYPE, statement, [director]));
  put(fileName('envelope', 'model'), withLaterMembers(kindOfFile(fileName('envelope', 'model')).schema, envelope));
  addNews(later, put);
  return later;
}

/** What a later release may say that no document of this one can show. */
function addNews(later: ReadonlyMap<string, Uint8Array>, put: (file: string, value: unknown) => void): void {
  const of = (name: string, shows: string): Readonly<Record<string, unknown>> => {
    const file = fileName(name, shows);
    const value = readDocument(file, later.get(file) ?? new Uint8Array());
    if (!isObject(value)) throw new Error(`${file} is no object`);
    return value;
  };
  put(fileName('cmd', 'unknown'), { ...of('cmd', 'report'), kind: 'take-picture' });
  put(fileName('event', 'unknown'), { ...of('event', 'version.state'), kind: 'model.quantised' });
  const manifest = of('manifest', 'model');
  put(fileName('manifest', 'requires'), { ...manifest, requires: ['mirroring'], variants: { of: 'another form' } });
  put(fileName('manifest', 'unknown-kind'), { ...manifest, kind: 'pipeline', inputs: undefined, outputs: undefined, steps: [] });
  put(fileName('manifest', 'newer'), { ...manifest, schema: 'skerry.manifest/2' });
  const desired = of('desired', 'model');
  const [entry] = desired['models'] as readonly Readonly<Record<string, unknown>>[];
  put(fileName('desired', 'requires'), { ...desired, models: [{ ...entry, requires: ['mirroring'], candidate: { action: 'mirror' } }] });
}
