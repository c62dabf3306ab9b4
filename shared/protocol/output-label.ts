/** As long as names in telemetry may be. */
const LENGTH = 128;
const HEAD = 96;

/**
 * The name of an output in telemetry: its own, or the beginning of a long one with a number that tells it from others that begin
 * so. `__proto__`, which cannot be a key everywhere, stands in brackets.
 */
export function outputLabel(name: string): string {
  if (name === '__proto__') return '(__proto__)';
  if (name.length <= LENGTH) return name;
  return `${name.slice(0, HEAD)}...${fnv1a(name).toString(16).padStart(8, '0')}`;
}

/** FNV-1a of 32 bits (draft-eastlake-fnv, section 2): quick, and enough to tell a model's outputs apart. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
