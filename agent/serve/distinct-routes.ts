import { SkerryError } from '#shared/kernel/errors.js';
import type { HttpApi } from './http/exchange.js';
import { overlap } from './http/router.js';

/** A route that several dialects have, and that may be spoken together. */
export interface SharedRoute {
  /** Method and path. */
  readonly route: string;
  /** Names of dialects. The first that is spoken answers for all of them: its answer has what the clients of the others look at. */
  readonly answeredBy: readonly string[];
}

type NamedApi = HttpApi & { readonly name: string };

/**
 * The APIs without the routes that another answers for them. Errors: `CONFIG_INVALID` where two take the same requests otherwise, which
 * names both and their routes.
 */
export function distinctRoutes(apis: readonly NamedApi[], shared: readonly SharedRoute[]): readonly NamedApi[] {
  const names = new Set(apis.map(({ name }) => name));
  const isAnswered = (name: string, route: string): boolean => {
    const row = shared.find((candidate) => candidate.route === route && candidate.answeredBy.includes(name));
    return row !== undefined && row.answeredBy.find((other) => names.has(other)) !== name;
  };
  const distinct = apis.map((api) => ({
    ...api,
    routes: api.routes.filter(({ method, path }) => !isAnswered(api.name, `${method} ${path}`)),
  }));
  for (const [index, api] of distinct.entries()) {
    for (const other of distinct.slice(index + 1)) checkApart(api, other);
  }
  return distinct;
}

function checkApart(one: NamedApi, other: NamedApi): void {
  for (const route of one.routes) {
    const taken = other.routes.find((candidate) => overlap(route, candidate));
    if (taken === undefined) continue;
    const both = `${one.name} (${route.method} ${route.path}) and ${other.name} (${taken.method} ${taken.path})`;
    throw new SkerryError('CONFIG_INVALID', `${both} take the same requests; leave one of them out of the setting dialects`);
  }
}
