import { BoundedMap } from '#shared/kernel/bounded-map.js';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'OPTIONS';

export interface Routable {
  readonly method: Method;
  /**
   * Segments that begin with a colon are named, and may have a fixed end that begins with another colon: `/v1/models/:model:predict`. A name
   * takes what is not empty.
   */
  readonly path: string;
  /** Letters of the fixed parts may be capitals or not. */
  readonly ignoreCase?: boolean;
}

type Match<R> =
  | { readonly kind: 'found'; readonly route: R; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: 'unknown' }
  /** The path is there, with other methods; `route` is the first of them. */
  | { readonly kind: 'method'; readonly allow: readonly string[]; readonly route: R };

/**
 * The path of a request target: without its query, and of an absolute URL (RFC 9112, 3.2.2: a server must take that form, which
 * clients behind a proxy setting send) the path alone.
 */
export function pathOf(target: string): string {
  if (target.startsWith('/') && !target.includes('?') && !target.includes('#')) return target;
  const local = target.replace(ORIGIN, '');
  const path = local.slice(0, local.search(/[?#]|$/));
  return path === '' ? '/' : path;
}

const ORIGIN = /^https?:\/\/[^/?#]*/i;

/** A segment of a route: fixed, or named with an end that may be empty. */
type Segment = { readonly kind: 'fixed'; readonly text: string } | { readonly kind: 'named'; readonly name: string; readonly end: string };

interface Entry<R> {
  readonly route: R;
  readonly pattern: readonly Segment[];
  readonly ignoreCase: boolean;
}

const MOST_REMEMBERED = 1_024;
const LONGEST_REMEMBERED = 512;

/** Finds routes by method and path. */
export class Router<R extends Routable> {
  /** By the number of segments and the first of them, which is fixed in every route. */
  readonly #routes = new Map<string, Entry<R>[]>();
  /** Found lately, by method and path: clients ask for the same again and again. */
  readonly #found = new BoundedMap<string, Match<R>>(MOST_REMEMBERED);

  constructor(routes: readonly R[]) {
    for (const route of routes) {
      const { ignoreCase = false } = route;
      const pattern = patternOf(route);
      const key = keyOf(route.path.split('/'));
      const entry = { route, pattern, ignoreCase };
      const others = this.#routes.get(key);
      if (others === undefined) this.#routes.set(key, [entry]);
      else others.push(entry);
    }
  }

  /**
   * Finds the route of a request. HEAD is served by GET, and one slash at the end says nothing. Each segment is compared after its
   * percent-encoding is taken off; a path whose encoding is broken is unknown.
   */
  match(method: string, path: string): Match<R> {
    const asked = `${method} ${path}`;
    const known = this.#found.get(asked);
    if (known !== undefined) return known;
    const match = this.#search(method, path);
    if (match.kind === 'found' && asked.length <= LONGEST_REMEMBERED) this.#found.set(asked, match);
    return match;
  }

  #search(method: string, path: string): Match<R> {
    const segments = segmentsOf(path);
    if (segments === undefined) return { kind: 'unknown' };
    const wanted = method === 'HEAD' ? 'GET' : method;
    const allow = new Set<string>();
    let other: R | undefined;
    for (const entry of this.#routes.get(keyOf(segments)) ?? []) {
      const params = matchPath(entry, segments);
      if (params === undefined) continue;
      const { route } = entry;
      if (route.method === wanted) return { kind: 'found', route, params };
      other ??= route;
      allow.add(route.method);
      if (route.method === 'GET') allow.add('HEAD');
    }
    return other === undefined ? { kind: 'unknown' } : { kind: 'method', allow: [...allow], route: other };
  }
}

/** Whether some request would be taken by both routes. */
export function overlap(one: Routable, other: Routable): boolean {
  const [left, right] = [patternOf(one), patternOf(other)];
  if (one.method !== other.method || left.length !== right.length) return false;
  const anyCase = one.ignoreCase === true || other.ignoreCase === true;
  return left.every((segment, at) => {
    const opposite = right[at];
    return opposite !== undefined && mayBeSame(segment, opposite, anyCase);
  });
}

function mayBeSame(left: Segment, right: Segment, anyCase: boolean): boolean {
  const cased = (text: string): string => (anyCase ? text.toLowerCase() : text);
  if (left.kind === 'fixed' && right.kind === 'fixed') return cased(left.text) === cased(right.text);
  if (left.kind === 'named' && right.kind === 'named') {
    return cased(left.end).endsWith(cased(right.end)) || cased(right.end).endsWith(cased(left.end));
  }
  const [fixed, named] = left.kind === 'fixed' ? [left, right] : [right, left];
  const [text, end] = [fixed.kind === 'fixed' ? fixed.text : '', named.kind === 'named' ? named.end : ''];
  return text.length > end.length && cased(text).endsWith(cased(end));
}

function patternOf({ path, ignoreCase = false }: Routable): readonly Segment[] {
  const cased = (text: string): string => (ignoreCase ? text.toLowerCase() : text);
  return path.split('/').map((part): Segment => {
    if (!part.startsWith(':')) return { kind: 'fixed', text: cased(part) };
    const colon = part.indexOf(':', 1);
    return colon < 0
      ? { kind: 'named', name: part.slice(1), end: '' }
      : { kind: 'named', name: part.slice(1, colon), end: cased(part.slice(colon)) };
  });
}

function keyOf(segments: readonly string[]): string {
  return `${segments.length} ${segments[1]?.toLowerCase()}`;
}

function segmentsOf(path: string): readonly string[] | undefined {
  const whole = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  if (!whole.includes('%')) return whole.split('/');
  try {
    return whole.split('/').map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

function matchPath({ pattern, ignoreCase }: Entry<unknown>, segments: readonly string[]): Readonly<Record<string, string>> | undefined {
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? '';
    const cased = ignoreCase ? segment.toLowerCase() : segment;
    if (part.kind === 'fixed') {
      if (part.text !== cased) return undefined;
      continue;
    }
    const length = segment.length - part.end.length;
    if (length <= 0 || !cased.endsWith(part.end)) return undefined;
    params[part.name] = segment.slice(0, length);
  }
  return params;
}
