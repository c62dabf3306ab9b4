import { z } from 'zod';
import { deviceDetailSchema } from '#hub/fleet/device-view.js';
import type { Devices } from '#hub/fleet/devices.js';
import type { EnrolmentTokens } from '#hub/fleet/enrolment-tokens.js';
import { createdEnrolmentTokenSchema, newReplacementSchema } from '#hub/fleet/enrolment-view.js';
import { seconds } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { actorOf } from '../actor.js';
import { defineRoute } from '../define-route.js';
import type { Route } from '../route.js';

const deviceParams = z.strictObject({ device: deviceIdSchema });

/** How the name of a device changes hands: a removal taken back, or a new key in place of the old one. */
export function deviceIdentityRoutes(devices: Devices, tokens: EnrolmentTokens, now: () => number): readonly Route[] {
  return [
    defineRoute({
      method: 'POST',
      url: '/api/v1/devices/:device/restore',
      id: 'restoreDevice',
      tag: 'devices',
      summary: 'Takes the removal of a device back: its key and password are good again',
      access: 'device:remove',
      audit: ({ params }) => `devices/${params.device}`,
      params: deviceParams,
      answer: deviceDetailSchema,
      errors: ['DEVICE_UNKNOWN'],
      handler: async ({ params }) => devices.restore(params.device),
    }),
    defineRoute({
      method: 'POST',
      url: '/api/v1/devices/:device/replacement',
      id: 'replaceDevice',
      tag: 'devices',
      summary: 'Makes an enrolment token that gives the name of a device to a new key',
      description:
        'The token is good once, for this name only. Nothing changes until a machine enrols with it; the key before it lets nobody in from then on. Tokens made for the same name before are revoked.',
      access: 'device:remove',
      audit: ({ params }) => `devices/${params.device}`,
      params: deviceParams,
      body: newReplacementSchema,
      status: 201,
      answer: createdEnrolmentTokenSchema,
      errors: ['DEVICE_UNKNOWN', 'DEVICE_ONLINE'],
      handler: async ({ params, body, caller, request, note }) => {
        const { id: device, presence, revokedAt } = await devices.get(params.device);
        if (presence.state === 'online' && revokedAt === null && !body.evenIfOnline) {
          throw new SkerryError('DEVICE_ONLINE', `${device} is connected since ${presence.since ?? 'a while'}`);
        }
        const created = await tokens.create({
          name: `replace ${device}`,
          labels: {},
          maxUses: 1,
          expiresAt: now() + seconds(body.expiresInSeconds),
          createdBy: actorOf(caller, request.ip).name,
          device,
        });
        note.detail = { token: created.id, expiresAt: created.expiresAt };
        return created;
      },
    }),
  ];
}
