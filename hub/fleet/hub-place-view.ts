import { z } from 'zod';
import { LIMITS } from '#shared/kernel/limits.js';
import { deviceIdSchema } from '#shared/protocol/device.js';

// What the API says about the addresses of the hub; routes declare it, clients check by it.

const apiUrl = z.url({ protocol: /^https?$/ }).max(512);
const brokerUrl = z.url({ protocol: /^(mqtt|mqtts|ws|wss)$/ }).max(512);

/** Body of `PUT /api/v1/hub/place`. */
export const newPlaceSchema = z
  .strictObject({
    /** Base URL of the API at the new place. */
    api: apiUrl.optional(),
    /** Addresses of the broker there; that of the broker inside the hub, over WebSocket, is added. */
    brokers: z
      .array(brokerUrl)
      .max(LIMITS.brokerAddresses - 2)
      .default([]),
  })
  .refine(({ api, brokers }) => api !== undefined || brokers.length > 0, 'needs an address of the API or of the broker');

export const placeSchema = z.object({
  api: z.string().nullable(),
  /** Addresses of the broker that desired states name. */
  brokers: z.array(z.string()),
  devices: z.object({
    all: z.int(),
    /** Devices that accepted the statement which names them. */
    informed: z.int(),
    /** Some of those that did not, by name. */
    waiting: z.array(deviceIdSchema),
  }),
});
export type Place = z.infer<typeof placeSchema>;
