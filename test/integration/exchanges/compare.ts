import { type Json, NumberText, parseLenient } from './lenient-json.js';

/** One thing that differs between what was recorded and what we answered. */
export interface Difference {
  /** `status`, `header NAME`, `body`, or a path in the body, such as `$.outputs[0].data[1]`. */
  readonly at: string;
  readonly theirs: string;
  readonly ours: string;
}

const TOLERANCE = 1e-5;

/** Longest value that a report shows. */
const SHOWN = 160;

/** Where two values of JSON differ, but for the `ignored` paths (`$..x`: at any depth). */
export function compareJson(theirs: Json | undefined, ours: Json | undefined, ignored: readonly string[]): readonly Difference[] {
  if (ignored.includes('$')) return [];
  const differences: Difference[] = [];
  const walk = (their: Json | undefined, our: Json | undefined, at: string): void => {
    const last = at.slice(at.lastIndexOf('.') + 1);
    if (ignored.some((path) => path === at || (path.startsWith('$..') && path.slice(3) === last))) return;
    if (Array.isArray(their) && Array.isArray(our)) {
      for (let index = 0; index < Math.max(their.length, our.length); index++) walk(their[index], our[index], `${at}[${index}]`);
    } else if (isMembers(their) && isMembers(our)) {
      for (const name of new Set([...Object.keys(their), ...Object.keys(our)])) walk(their[name], our[name], `${at}.${name}`);
    } else if (!sameScalar(their, our)) {
      differences.push({ at, theirs: shownJson(their), ours: shownJson(our) });
    }
  };
  walk(theirs, ours, '$');
  return differences;
}

/** The same as texts; text that is no JSON must be equal. */
export function compareTexts(theirs: string, ours: string, ignored: readonly string[]): readonly Difference[] {
  if (theirs === ours || ignored.includes('$')) return [];
  const [their, our] = [parseLenient(theirs), parseLenient(ours)];
  if (their === undefined || our === undefined) return [{ at: 'body', theirs: theirs.slice(0, SHOWN), ours: ours.slice(0, SHOWN) }];
  return compareJson(their, our, ignored);
}

export function isMembers(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof NumberText);
}

function sameScalar(theirs: Json | undefined, ours: Json | undefined): boolean {
  if (!(theirs instanceof NumberText && ours instanceof NumberText)) return theirs === ours;
  if (theirs.text === ours.text) return true;
  if (/^-?\d+$/.test(theirs.text) && /^-?\d+$/.test(ours.text)) return BigInt(theirs.text) === BigInt(ours.text);
  const [their, our] = [Number(theirs.text), Number(ours.text)];
  return Object.is(their, our) || Math.abs(their - our) <= TOLERANCE * Math.max(1, Math.abs(their));
}

function shownJson(value: Json | undefined): string {
  if (value === undefined) return '(absent)';
  return JSON.stringify(value, (_, inner: unknown) => (inner instanceof NumberText ? `#${inner.text}` : inner)).slice(0, SHOWN);
}
