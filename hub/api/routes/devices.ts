import { z } from 'zod';
import { deviceDetailSchema, deviceListSchema, PRESENCE_STATES } from '#hub/fleet/device-view.js';
import type { Devices } from '#hub/fleet/devices.js';
import { hubLabelsSchema } from '#hub/fleet/labels.js';
import type { StartWatch } from '#hub/fleet/start-watch.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { defineRoute } from '../define-route.js';
import type { Route } from '../route.js';

const deviceParams = z.strictObject({ device: deviceIdSchema });
const settleSchema = z.strictObject({ keep: z.string().min(1).max(255).optional() });
const listQuery = z.strictObject({
  selector: z.string().max(LIMITS.selectorLength).optional(),
  presence: z.enum(PRESENCE_STATES).optional(),
  revoked: z.enum(['true', 'false']).default('false'),
});

/** The devices of the fleet. */
export function deviceRoutes(devices: Devices, starts: StartWatch, notice: () => string | undefined): readonly Route[] {
  return [...readingRoutes(devices, notice), ...changingRoutes(devices, starts)];
}

function readingRoutes(devices: Devices, notice: () => string | undefined): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      url: '/api/v1/devices',
      id: 'listDevices',
      tag: 'devices',
      summary: 'Lists the devices',
      description: '`selector` is a label selector as in Kubernetes, `site=lab,tier in (gold,silver),!legacy`.',
      access: 'device:read',
      query: listQuery,
      answer: deviceListSchema,
      errors: ['SELECTOR_INVALID'],
      handler: async ({ query }) => ({
        devices: await devices.list({ selector: query.selector, presence: query.presence, includeRevoked: query.revoked === 'true' }),
        notice: notice() ?? null,
      }),
    }),
    defineRoute({
      method: 'GET',
      url: '/api/v1/devices/:device',
      id: 'getDevice',
      tag: 'devices',
      summary: 'One device, with what it was told and what it reported',
      access: 'device:read',
      params: deviceParams,
      answer: deviceDetailSchema,
      errors: ['DEVICE_UNKNOWN'],
      handler: async ({ params }) => devices.get(params.device),
    }),
  ];
}

function changingRoutes(devices: Devices, starts: StartWatch): readonly Route[] {
  return [
    defineRoute({
      method: 'PATCH',
      url: '/api/v1/devices/:device/labels',
      id: 'patchDeviceLabels',
      tag: 'devices',
      summary: 'Sets labels over those the device gives itself',
      description: 'A value sets a label, null takes it away, labels not named stay. Deployments that match from now on apply at once.',
      access: 'device:write',
      audit: ({ params }) => `devices/${params.device}`,
      params: deviceParams,
      body: hubLabelsSchema,
      bodyLimit: LIMITS.controlMessageBytes,
      answer: deviceDetailSchema,
      errors: ['DEVICE_UNKNOWN', 'DEVICE_REVOKED', 'LABEL_TIME_ZONE'],
      handler: async ({ params, body, note }) => {
        note.detail = { labels: body };
        return devices.patchLabels(params.device, body);
      },
    }),
    defineRoute({
      method: 'POST',
      url: '/api/v1/devices/:device/settle',
      id: 'settleDevice',
      tag: 'devices',
      summary: 'Ends what was noticed of a device that was copied, or put back to an older image',
      description:
        '`keep` names the copy that stays from now on, by its start or the name of its machine; without it whoever connects next is taken for the device.',
      access: 'device:write',
      audit: ({ params }) => `devices/${params.device}`,
      params: deviceParams,
      body: settleSchema,
      bodyLimit: LIMITS.controlMessageBytes,
      answer: deviceDetailSchema,
      errors: ['DEVICE_UNKNOWN', 'DEVICE_COPY_UNKNOWN'],
      handler: async ({ params, body, note }) => {
        note.detail = { keep: body.keep ?? null };
        await starts.settle(params.device, body.keep);
        return devices.get(params.device);
      },
    }),
    defineRoute({
      method: 'DELETE',
      url: '/api/v1/devices/:device',
      id: 'revokeDevice',
      tag: 'devices',
      summary: 'Withdraws the credentials of a device, until it is restored or replaced; what is known of it stays',
      access: 'device:remove',
      audit: ({ params }) => `devices/${params.device}`,
      params: deviceParams,
      status: 204,
      answer: 'empty',
      errors: ['DEVICE_UNKNOWN'],
      handler: async ({ params }) => devices.revoke(params.device),
    }),
  ];
}
