import { z } from 'zod';
import { type Labels, labelKeySchema, labelsSchema, labelValueSchema } from '#shared/protocol/device.js';

/** Labels the hub gives a device; null takes one away that the device gives itself. */
export const hubLabelsSchema = z.record(labelKeySchema, labelValueSchema.nullable());
export type HubLabels = z.infer<typeof hubLabelsSchema>;

/** What selectors see: the device's own labels, with the hub's over them. */
export function effectiveLabels(device: Labels, hub: HubLabels): Labels {
  const labels: Labels = { ...device };
  for (const [key, value] of Object.entries(hub)) {
    if (value === null) delete labels[key];
    else labels[key] = value;
  }
  return labels;
}

export function readLabels(json: string): Labels {
  return labelsSchema.parse(JSON.parse(json));
}

export function readHubLabels(json: string): HubLabels {
  return hubLabelsSchema.parse(JSON.parse(json));
}
