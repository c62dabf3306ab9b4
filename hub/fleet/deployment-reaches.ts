import type { DeploymentsTable } from '#hub/store/tables/fleet-tables.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import { type Reach, reachOf } from './decide/deployment-reach.js';

/** Deployments whose selectors stay parsed; parsing is what an enrolment pays for, not the matching. */
const PARSED = 16_384;

/** Reaches of deployments by id, each parsed once: what a deployment is for never changes. */
export class DeploymentReaches {
  readonly #parsed = new BoundedMap<number, Reach>(PARSED);
  readonly #parse: typeof reachOf;

  constructor(parse: typeof reachOf = reachOf) {
    this.#parse = parse;
  }

  /** `read` gives the parts of the row that say whom it is for; asked for what is not known yet. */
  async of(id: number, read: () => Promise<Pick<DeploymentsTable, 'selector' | 'excluded'>>): Promise<Reach> {
    const known = this.#parsed.get(id);
    if (known !== undefined) return known;
    const reach = this.#parse(await read());
    this.#parsed.set(id, reach);
    return reach;
  }
}
