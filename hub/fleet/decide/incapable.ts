import { z } from 'zod';
import { featureListSchema } from '#shared/bundle/features.js';
import { deviceIdSchema } from '#shared/protocol/device.js';

/** Why a device cannot run a version. */
export interface Incapable {
  /** In words, with names and figures. */
  readonly why: string;
  /** Features that its agent lacks (shared/bundle/features.ts): the device can run the version once its agent is updated. */
  readonly lacks?: readonly string[];
}

/** The same, as the API names such devices. */
export const incapableDeviceSchema = z.object({ device: deviceIdSchema, why: z.string(), lacks: featureListSchema.optional() });
export type IncapableDevice = z.infer<typeof incapableDeviceSchema>;

export function incapableDevice(device: IncapableDevice['device'], { why, lacks }: Incapable): IncapableDevice {
  return { device, why, ...(lacks && { lacks: [...lacks] }) };
}
