import { TrustWatch } from '#hub/registry/trust-watch.js';
import { days } from '#shared/kernel/time.js';
import { historyChores } from '../history-chores.js';
import { Housekeeping } from '../housekeeping.js';
import type { HubContext } from './context.js';
import type { Devices } from './devices.js';
import type { Kept } from './kept.js';
import type { Access, Alerts } from './people.js';
import type { Trust, Versions } from './versions.js';

interface UpkeepNeeds {
  readonly kept: Kept;
  readonly devices: Devices;
  readonly access: Access;
  readonly alerts: Alerts;
  readonly trust: Trust;
  readonly versions: Versions;
}

/** What comes round by the clock. */
export interface Upkeep {
  readonly trustWatch: TrustWatch;
  readonly housekeeping: Housekeeping;
}

export function openUpkeep(
  { config, clock, logger }: HubContext,
  { kept: { db }, access, alerts, trust, versions, devices: { fleet } }: UpkeepNeeds,
): Upkeep {
  const { audit, tokens } = access;
  const { tuf, hubClock } = trust;
  const trustWatch = new TrustWatch({
    tuf,
    clock,
    logger,
    notify: (alert) => alerts.send({ type: 'trust.expires', at: alert.at, data: alert }),
  });
  // By a clock that jumped everything would be old.
  const whenCredible = (drop: () => Promise<unknown>): Promise<unknown> =>
    hubClock.isCredible ? drop() : Promise.resolve('the clock is not credible');
  const before = (): number => clock.now() - days(config.auditDays);
  const housekeeping = new Housekeeping(
    [
      { name: 'sign the timestamp again', when: '7 * * * *', run: () => tuf.resign() },
      { name: 'look at the disk', when: '* * * * *', run: () => alerts.disk.look() },
      { name: 'look when signatures end', when: '17 * * * *', run: () => Promise.resolve(trustWatch.look()) },
      { name: 'sum up refusals', when: '*/5 * * * *', run: () => audit.sumUp() },
      { name: 'drop old audit records', when: '23 3 * * *', run: () => whenCredible(() => audit.purge(before())) },
      ...historyChores({ db, tokens, fleet, before, whenCredible }),
      { name: 'drop uploads nobody named', when: '41 3 * * *', run: () => whenCredible(() => versions.registry.purgeOrphans()) },
    ],
    logger,
  );
  return { trustWatch, housekeeping };
}
