/** A route as data: method, path with `:name` segments, and what handles it. */
export interface Route<H> {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly handle: H;
}

export type Match<H> =
  | { readonly kind: 'found'; readonly handle: H; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'method'; readonly allow: readonly string[] };

/** Finds the route of a request. HEAD is served by GET. A path whose percent-encoding is broken is unknown. Pure. */
export function matchRoute<H>(routes: readonly Route<H>[], method: string, path: string): Match<H> {
  const segments = path.split('/');
  const wanted = method === 'HEAD' ? 'GET' : method;
  const allow = new Set<string>();
  for (const route of routes) {
    const params = matchPath(route.path.split('/'), segments);
    if (params === undefined) continue;
    if (route.method === wanted) return { kind: 'found', handle: route.handle, params };
    allow.add(route.method);
    if (route.method === 'GET') allow.add('HEAD');
  }
  return allow.size === 0 ? { kind: 'unknown' } : { kind: 'method', allow: [...allow] };
}

function matchPath(pattern: readonly string[], segments: readonly string[]): Readonly<Record<string, string>> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? '';
    if (!part.startsWith(':')) {
      if (part !== segment) return undefined;
      continue;
    }
    const value = decode(segment);
    if (value === undefined || value === '') return undefined;
    params[part.slice(1)] = value;
  }
  return params;
}

function decode(segment: string): string | undefined {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
