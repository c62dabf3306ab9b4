import { SkerryError } from '#shared/kernel/errors.js';

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * JSON in the one form RFC 8785 (JSON Canonicalization Scheme) gives it, as UTF-8 bytes: no spaces, object members sorted
 * by UTF-16 code units, numbers and strings as ECMAScript writes them. Members that are `undefined` are left out, as by
 * JSON.stringify. Throws `INPUT_SCHEMA` for what I-JSON (RFC 7493) cannot hold: NaN, infinities, lone surrogates, bigints, functions.
 */
export function canonicalJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(serialize(value, '(root)'));
}

function serialize(value: unknown, path: string): string {
  if (value === null || typeof value === 'boolean') return String(value);
  // RFC 8785 3.2.2.3: numbers as ECMAScript's Number-to-string, where -0 is 0.
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (typeof value === 'string') return text(value, path);
  if (Array.isArray(value)) return `[${value.map((item, index) => serialize(item, `${path}.${index}`)).join(',')}]`;
  if (typeof value === 'object') {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      // RFC 8785 3.2.3: by UTF-16 code units, which is how ECMAScript compares strings.
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${members.map(([name, member]) => `${text(name, path)}:${serialize(member, `${path}.${name}`)}`).join(',')}}`;
  }
  throw new SkerryError('INPUT_SCHEMA', `${path}: ${typeof value === 'number' ? value : `a ${typeof value}`} has no canonical JSON form`);
}

function text(value: string, path: string): string {
  if (LONE_SURROGATE.test(value)) throw new SkerryError('INPUT_SCHEMA', `${path}: text with a lone surrogate has no canonical JSON form`);
  return JSON.stringify(value);
}
