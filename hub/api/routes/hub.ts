import { newPlaceSchema, placeSchema } from '#hub/fleet/hub-place-view.js';
import type { Moves } from '#hub/fleet/move.js';
import { defineRoute } from '../define-route.js';
import type { Route } from '../route.js';

/** Where the hub is reached, before and after it moves. */
export function hubRoutes(moves: Moves): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      url: '/api/v1/hub/place',
      id: 'getHubPlace',
      tag: 'system',
      summary: 'Addresses that desired states name, and which devices know them',
      access: 'hub:read',
      answer: placeSchema,
      handler: async () => moves.show(),
    }),
    defineRoute({
      method: 'PUT',
      url: '/api/v1/hub/place',
      id: 'setHubPlace',
      tag: 'system',
      summary: 'Announces where the hub moves to, in the signed desired state of every device',
      description: 'Devices try the addresses they know in turn and stay with one that lets them in. Nothing else changes.',
      access: 'hub:write',
      audit: ({ body }) => `hub (${body.api ?? body.brokers.join(', ')})`,
      body: newPlaceSchema,
      answer: placeSchema,
      handler: async ({ body, note }) => {
        note.detail = { api: body.api ?? null, brokers: body.brokers };
        return moves.announce(body);
      },
    }),
    defineRoute({
      method: 'DELETE',
      url: '/api/v1/hub/place',
      id: 'forgetHubPlace',
      tag: 'system',
      summary: 'Takes an announced move back',
      access: 'hub:write',
      audit: () => 'hub',
      answer: placeSchema,
      handler: async () => moves.cancel(),
    }),
  ];
}
