import { z } from 'zod';
import { type DeviceId, deviceIdSchema, type Labels } from '#shared/protocol/device.js';
import { parseSelector } from './selector.js';
import type { DeploymentsTable } from '#hub/store/tables/fleet-tables.js';

const excludedSchema = z.array(deviceIdSchema);

/** Tells whether a device with these labels is reached. */
export type Reach = (device: DeviceId, labels: Labels) => boolean;

/** Tells whom a deployment is for: devices that its selector matches, without those that were taken out of the rollout that left it. */
export function reachOf(row: Pick<DeploymentsTable, 'selector' | 'excluded'>): Reach {
  const selector = parseSelector(row.selector);
  const excluded = new Set(row.excluded === null ? [] : excludedSchema.parse(JSON.parse(row.excluded)));
  return (device, labels) => !excluded.has(device) && selector.matches(labels);
}
