import { z } from 'zod';
import type { ClockStatus } from './hub-clock.js';

/** What the API says about the clock of the hub. */
export const clockStatusSchema = z.object({
  state: z.enum(['credible', 'suspect']),
  reason: z.string().nullable().meta({ description: 'Why nothing is signed; null while the clock is credible.' }),
  now: z.iso.datetime(),
  lastSigned: z.iso.datetime().nullable(),
  devices: z.int().meta({ description: 'Devices heard within the hour whose clocks can vouch for it.' }),
});
type ShownClock = z.infer<typeof clockStatusSchema>;

export function shownClock({ verdict, now, lastSigned, devices }: ClockStatus): ShownClock {
  return {
    state: verdict.state,
    reason: verdict.state === 'suspect' ? verdict.reason : null,
    now: new Date(now).toISOString(),
    lastSigned: lastSigned === undefined ? null : new Date(lastSigned).toISOString(),
    devices,
  };
}
