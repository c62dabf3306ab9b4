export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'OPTIONS';

export interface Routable {
  readonly method: Method;
  readonly path: string;
}

type Match<R> =
  | { readonly kind: 'found'; readonly route: R; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'method'; readonly allow: readonly string[] };

/**
 * The path of a request target: without its query, and of an absolute URL (RFC 9112, 3.2.2: a server must take that form, which
 * clients behind a proxy setting send) the path alone.
 */
export function pathOf(target: string): string {
  const local = target.replace(ORIGIN, '');
  const path = local.slice(0, local.search(/[?#]|$/));
  return path === '' ? '/' : path;
}

const ORIGIN = /^https?:\/\/[^/?#]*/i;

/** Finds routes by method and path. */
export class Router<R extends Routable> {
  /** By the number of segments. */
  readonly #routes = new Map<number, { readonly route: R; readonly pattern: readonly string[] }[]>();

  constructor(routes: readonly R[]) {
    for (const route of routes) {
      const pattern = route.path.split('/');
      const others = this.#routes.get(pattern.length);
      if (others === undefined) this.#routes.set(pattern.length, [{ route, pattern }]);
      else others.push({ route, pattern });
    }
  }

  /**
   * Finds the route of a request. HEAD is served by GET, and one slash at the end says nothing. Each segment is compared after its
   * percent-encoding is taken off; a path whose encoding is broken is unknown.
   */
  match(method: string, path: string): Match<R> {
    const segments = segmentsOf(path);
    if (segments === undefined) return { kind: 'unknown' };
    const wanted = method === 'HEAD' ? 'GET' : method;
    const allow = new Set<string>();
    for (const { route, pattern } of this.#routes.get(segments.length) ?? []) {
      const params = matchPath(pattern, segments);
      if (params === undefined) continue;
      if (route.method === wanted) return { kind: 'found', route, params };
      allow.add(route.method);
      if (route.method === 'GET') allow.add('HEAD');
    }
    return allow.size === 0 ? { kind: 'unknown' } : { kind: 'method', allow: [...allow] };
  }
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

function matchPath(pattern: readonly string[], segments: readonly string[]): Readonly<Record<string, string>> | undefined {
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? '';
    if (!part.startsWith(':')) {
      if (part !== segment) return undefined;
      continue;
    }
    if (segment === '') return undefined;
    params[part.slice(1)] = segment;
  }
  return params;
}
