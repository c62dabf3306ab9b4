import { z } from 'zod';
import { clockStatusSchema, shownClock } from '#hub/clock/clock-view.js';
import type { HubClock } from '#hub/clock/hub-clock.js';
import { defineRoute } from '../define-route.js';
import type { Route } from '../route.js';

/** The clock of the hub, by which everything is dated that it signs. */
export function hubClockRoutes(hubClock: Pick<HubClock, 'status' | 'confirm'>, resign: () => Promise<void>): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      url: '/api/v1/hub/clock',
      id: 'getHubClock',
      tag: 'system',
      summary: 'Whether the clock of the hub is credible; nothing is signed while it is not',
      access: 'trust:read',
      answer: clockStatusSchema,
      handler: async () => shownClock(hubClock.status),
    }),
    defineRoute({
      method: 'POST',
      url: '/api/v1/hub/clock/confirm',
      id: 'confirmHubClock',
      tag: 'system',
      summary: 'Says that the clock of the hub is right now; the hub signs again',
      access: 'hub:confirm-clock',
      audit: () => 'hub/clock',
      body: z.strictObject({}),
      answer: clockStatusSchema,
      handler: async ({ note }) => {
        hubClock.confirm();
        await resign();
        const status = shownClock(hubClock.status);
        note.detail = { now: status.now };
        return status;
      },
    }),
  ];
}
