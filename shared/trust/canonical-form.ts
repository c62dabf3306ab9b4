import { SkerryError } from '#shared/kernel/errors.js';

/**
 * The bytes that a TUF signature covers: canonical JSON (TUF 4.1, the OLPC form) of everything in the object, members that
 * this release does not know included. Members are sorted by UTF-16 code units; only `"` and `\` are escaped. Throws
 * `INPUT_SCHEMA` for a number that is no integer, which the form cannot hold.
 */
export function canonicalForm(value: unknown): Uint8Array {
  const parts: string[] = [];
  write(value, parts);
  return new TextEncoder().encode(parts.join(''));
}

function write(value: unknown, parts: string[]): void {
  if (typeof value === 'string') parts.push(quoted(value));
  else if (value === null || typeof value === 'boolean' || Number.isInteger(value)) parts.push(JSON.stringify(value));
  else if (Array.isArray(value)) writeList(value, parts);
  else if (typeof value === 'object') writeObject(value, parts);
  else throw new SkerryError('INPUT_SCHEMA', `a ${typeof value} that is no whole number has no canonical form`);
}

function writeList(list: readonly unknown[], parts: string[]): void {
  parts.push('[');
  list.forEach((item, index) => {
    if (index > 0) parts.push(',');
    write(item, parts);
  });
  parts.push(']');
}

function writeObject(object: object, parts: string[]): void {
  const members = Object.entries(object).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  parts.push('{');
  members.forEach(([name, member], index) => {
    if (index > 0) parts.push(',');
    parts.push(quoted(name), ':');
    write(member, parts);
  });
  parts.push('}');
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
