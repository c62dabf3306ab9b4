import type { EpochMillis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { formatDuration } from '#shared/terminal/format.js';
import { type Output, paint, printJson, printLine, printTable } from '#shared/terminal/output.js';
import type { PublisherHub } from '../publisher/hub-port.js';
import { warningsDue } from '#hub/registry/tuf/decide/expiry.js';
import { readTrustOverview, type RoleOverview } from '../publisher/trust-overview.js';

/** Prints what the hub publishes about trust; `TRUST_ROOT_MISSING` when it has no root yet. */
export async function showTrust(out: Output, hub: PublisherHub, now: EpochMillis): Promise<void> {
  const overview = await readTrustOverview(hub);
  if (overview === undefined)
    throw new SkerryError('TRUST_ROOT_MISSING', 'this hub has no root of trust yet; make one with "skerry trust init"');
  if (out.json) {
    printJson(out, { roles: overview.map((role) => ({ ...role, expires: isoOf(role.expires) })) });
    return;
  }
  printTable(
    out,
    [
      { title: 'role', value: (role: RoleOverview) => role.role },
      { title: 'version', align: 'right', value: (role) => (role.version === 0 ? undefined : role.version) },
      { title: 'expires', value: (role) => expiryText(out, role.expires, now) },
      { title: 'signatures', value: (role) => `${role.threshold} of ${role.keys}` },
      { title: 'may publish', value: (role) => mayPublish(role) },
      { title: 'versions', align: 'right', value: (role) => (mayPublish(role) === undefined ? undefined : role.targets) },
    ],
    overview,
  );
  for (const line of endingSoon(overview, now)) printLine(out, paint(out, 'yellow', line));
}

/** A line for each role whose owner should sign again soon; the hub renews its own. */
function endingSoon(overview: readonly RoleOverview[], now: EpochMillis): string[] {
  return overview.flatMap(({ role, expires }) => {
    if (expires === undefined || role === 'snapshot' || role === 'timestamp' || warningsDue(expires, now) === 0) return [];
    const when = expires > now ? `ends in ${formatDuration(expires - now)}` : 'has ended';
    const effect = role === 'root' || role === 'targets' ? 'anything new' : `new versions of publisher ${role}`;
    return [`note: ${role} ${when}; its owner runs "skerry trust resign", or no device takes up ${effect}`];
  });
}

function mayPublish({ models, agent }: RoleOverview): string | undefined {
  return [...models, ...(agent ? ['the agent'] : [])].join(', ') || undefined;
}

function isoOf(at: EpochMillis | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString();
}

function expiryText(out: Output, expires: EpochMillis | undefined, now: EpochMillis): string | undefined {
  if (expires === undefined) return undefined;
  return expires > now ? `in ${formatDuration(expires - now)}` : paint(out, 'red', `${formatDuration(now - expires)} ago`);
}
