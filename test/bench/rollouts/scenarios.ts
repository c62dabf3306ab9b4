import { hours } from '#shared/kernel/time.js';
import type { Truth } from './truth.js';

/** Versions that are worse, and how: `early`: the share that has to be caught within the first two waves, where that is an aim. */
export const BAD: readonly { readonly name: string; readonly changes: Partial<Truth>; readonly early?: number }[] = [
  { name: 'errors x 1.5', changes: { errors: 1.5 } },
  { name: 'errors x 2', changes: { errors: 2 }, early: 0.95 },
  { name: 'errors x 3', changes: { errors: 3 } },
  { name: 'errors x 10 on 20 % of the devices', changes: { errors: 10, affected: 0.2 } },
  { name: 'errors x 3 after 2 h', changes: { errors: 3, onset: hours(2) } },
  { name: 'errors x 3 after 6 h', changes: { errors: 3, onset: hours(6) } },
  { name: 'latency x 1.5', changes: { latency: 1.5 } },
  { name: 'latency x 2', changes: { latency: 2 } },
  { name: 'latency x 1.5, heavy tails', changes: { latency: 1.5, tail: 0.1 } },
  { name: 'errors x 2, 10 % silent', changes: { errors: 2, silent: 0.1 } },
];

/** Other fleets in which a version as good as the old one must go through as well. */
export const FLEETS: readonly { readonly name: string; readonly changes: Partial<Truth> }[] = [
  { name: 'equal devices, steady load', changes: { errorShape: 1000, rhythm: 0, tail: 0, jitter: 0, silent: 0, breaking: 0 } },
  { name: 'heavy tails (10 % of requests)', changes: { tail: 0.1, jitter: 0.3 } },
  { name: 'strong daily rhythm', changes: { rhythm: 0.95 } },
  { name: '10 % silent devices', changes: { silent: 0.1 } },
  { name: 'devices break 5 times as often', changes: { breaking: 0.0005 } },
];
