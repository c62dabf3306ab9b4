import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { ApiTokens } from './api/tokens.js';
import { dropOldDeployments } from './fleet/deployment-retention.js';
import type { Fleet } from './fleet/fleet.js';
import type { Chore } from './housekeeping.js';
import { dropEndedRollouts } from './rollouts/retention.js';
import type { Db } from './store/database.js';
import { reclaimDisk } from './store/reclaim.js';

interface HistoryChoresDeps {
  readonly db: Db;
  readonly tokens: Pick<ApiTokens, 'purge'>;
  readonly fleet: Pick<Fleet, 'tokens'>;
  /** What ended before is dropped. */
  readonly before: () => EpochMillis;
  /** Runs a drop only while the clock can be believed. */
  readonly whenCredible: (drop: () => Promise<unknown>) => Promise<unknown>;
}

/** Each history of the hub that grows with use, and what drops the old part of it (docs/OPERATIONS.md, "What is bounded"). */
export function historyChores({ db, tokens, fleet, before, whenCredible }: HistoryChoresDeps): readonly Chore[] {
  const drops: Readonly<Record<string, (at: EpochMillis) => Promise<number>>> = {
    'revoked and expired API tokens': (at) => tokens.purge(at),
    'revoked and expired enrolment tokens': (at) => fleet.tokens.purge(at),
    'ended rollouts': (at) => dropEndedRollouts(db, at),
    'deployments that decide nothing': (at) => dropOldDeployments(db, at),
  };
  return [
    ...Object.entries(drops).map(([what, drop]) => ({
      name: `drop ${what}`,
      when: '29 3 * * *',
      run: () => whenCredible(() => drop(before())),
    })),
    { name: 'give free pages of the database back', when: '53 3 * * *', run: () => reclaimDisk(db, yieldToLoop) },
  ];
}
