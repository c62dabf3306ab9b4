import { days, type EpochMillis, type Millis } from '#shared/kernel/time.js';
import { publisherOf } from '#shared/trust/role-name.js';
import type { Published } from '../publication.js';

/** When the signatures of a role stop to hold. */
export interface RoleExpiry {
  readonly role: string;
  readonly version: number;
  readonly expires: EpochMillis;
  /** The hub signs snapshot and timestamp again by itself; for the others somebody has to bring new signatures. */
  readonly signedBy: 'hub' | 'people';
}

/** How long before the end it is worth a word, first to last; 0 is the end itself. */
const EXPIRY_WARNINGS: readonly Millis[] = [days(30), days(7), days(1), 0];

/** Every role of a published set, the top-level ones first; for a publisher and its models the file that ends first. */
export function expiriesOf(set: Published): readonly RoleExpiry[] {
  const soonest = new Map<string, { readonly role: string; readonly version: number; readonly expires: EpochMillis }>();
  for (const { role, version, expires } of set.roles.values()) {
    const publisher = publisherOf(role);
    const known = soonest.get(publisher);
    if (known === undefined || expires < known.expires) soonest.set(publisher, { role: publisher, version, expires });
  }
  const byPeople = [set.root, set.targets, ...soonest.values()].map((file) => ({ file, signedBy: 'people' as const }));
  const byHub = [set.snapshot, set.timestamp].map((file) => ({ file, signedBy: 'hub' as const }));
  return [...byPeople, ...byHub].map(({ file: { role, version, expires }, signedBy }) => ({ role, version, expires, signedBy }));
}

/** How many of the warnings an expiry is due for by now. */
export function warningsDue(expires: EpochMillis, now: EpochMillis): number {
  return EXPIRY_WARNINGS.filter((before) => now >= expires - before).length;
}
