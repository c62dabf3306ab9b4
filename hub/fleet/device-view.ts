import { z } from 'zod';
import { agentVariantName } from '#shared/bundle/agent-manifest.js';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { capabilitiesSchema, deviceIdSchema, labelsSchema, selfUpdateSchema } from '#shared/protocol/device.js';
import { type Reported, reportedSchema } from '#shared/protocol/messages.js';
import { markSchema, type ShownMark } from './device-marks.js';
import { hubLabelsSchema, readHubLabels, readLabels } from './labels.js';
import type { DeviceStatesTable, DevicesTable } from '#hub/store/tables/fleet-tables.js';

const time = z.iso.datetime();

/** `never`: enrolled, and not heard of since. */
export const PRESENCE_STATES = ['online', 'offline', 'never'] as const;

/** A device in a list. */
const deviceSummarySchema = z.object({
  id: deviceIdSchema,
  labels: labelsSchema,
  presence: z.object({ state: z.enum(PRESENCE_STATES), since: time.nullable() }),
  agentVersion: z.string(),
  platform: z.string().meta({ description: 'Operating system and processor, such as linux-arm64.' }),
  selfUpdate: selfUpdateSchema.nullable().meta({ description: 'Whether its agent can replace itself; null for one that does not say.' }),
  enrolledAt: time,
  revokedAt: time.nullable(),
  reportedAt: time.nullable().meta({ description: "When the hub received the newest reported state, by the hub's clock." }),
  serving: z.array(z.object({ model: modelNameSchema, version: versionNumberSchema })),
  /** Models with a version the device refused or failed to take up. */
  troubles: z.array(z.object({ model: modelNameSchema, version: versionNumberSchema, code: z.string() })),
  /** What the hub noticed of it by itself. */
  marks: z.array(markSchema).default([]),
  trustTroubles: z
    .array(z.object({ role: z.string().nullable(), code: z.string() }))
    .meta({ description: 'Why it takes up nothing new: of a publisher (role), or of anybody (null).' }),
});
export type DeviceSummary = z.infer<typeof deviceSummarySchema>;
export const deviceListSchema = z.object({
  devices: z.array(deviceSummarySchema),
  notice: z.string().nullable().default(null).meta({ description: 'What is wrong with the hub itself, and concerns all of them.' }),
});

export type DeviceList = z.infer<typeof deviceListSchema>;

/** One device with everything known of it. */
export const deviceDetailSchema = deviceSummarySchema.extend({
  deviceLabels: labelsSchema.meta({ description: 'What the device says of itself.' }),
  hubLabels: hubLabelsSchema.meta({ description: 'What the hub puts over it; null takes a label away.' }),
  capabilities: capabilitiesSchema,
  publicKey: z.string(),
  reported: reportedSchema.nullable(),
  desired: z.object({
    /** Counter of the newest signed statement; 0 before the first. */
    counter: z.int(),
    expires: time.nullable(),
    models: z.array(
      z.object({ model: modelNameSchema, version: versionNumberSchema, attempt: z.int(), source: z.string(), decidedAt: time }),
    ),
  }),
});
export type DeviceDetail = z.infer<typeof deviceDetailSchema>;

export type DeviceRow = DevicesTable & Omit<DeviceStatesTable, 'device'>;

export function summaryOf(row: DeviceRow, marks: readonly ShownMark[]): DeviceSummary {
  const reported = reportedOf(row);
  const capabilities = capabilitiesSchema.parse(JSON.parse(row.capabilities));
  return {
    id: deviceIdSchema.parse(row.id),
    labels: readLabels(row.labels),
    presence: { state: row.presence ?? 'never', since: iso(row.presence_changed_at) },
    agentVersion: row.agent_version,
    platform: agentVariantName({ platform: capabilities.os, arch: capabilities.arch }),
    selfUpdate: capabilities.selfUpdate ?? null,
    enrolledAt: new Date(row.enrolled_at).toISOString(),
    revokedAt: iso(row.revoked_at),
    reportedAt: iso(row.reported_received_at),
    serving: (reported?.models ?? []).flatMap(({ model, serving }) => (serving === null ? [] : [{ model, version: serving }])),
    troubles: (reported?.models ?? []).flatMap(({ model, versions }) =>
      versions.flatMap(({ version, error }) => (error === undefined ? [] : [{ model, version, code: error.code }])),
    ),
    trustTroubles: trustTroubles(reported),
    marks: [...marks],
  };
}

/** Why a device takes up nothing new: of a publisher, or of anybody. */
export function trustTroubles(reported: Reported | undefined): DeviceSummary['trustTroubles'] {
  const { error, unavailable = [] } = reported?.trust ?? {};
  const ofRoles = unavailable.map(({ role, error: why }) => ({ role, code: why.code }));
  return error === undefined ? ofRoles : [{ role: null, code: error.code }, ...ofRoles];
}

export function detailOf(row: DeviceRow, marks: readonly ShownMark[], desired: DeviceDetail['desired']): DeviceDetail {
  return {
    ...summaryOf(row, marks),
    deviceLabels: readLabels(row.device_labels),
    hubLabels: readHubLabels(row.hub_labels),
    capabilities: capabilitiesSchema.parse(JSON.parse(row.capabilities)),
    publicKey: row.public_key,
    reported: reportedOf(row) ?? null,
    desired,
  };
}

/** The newest reported state; undefined before the first, and for one a later version of the hub can not read any more. */
export function reportedOf(row: Pick<DeviceStatesTable, 'reported'>): Reported | undefined {
  if (row.reported === null) return undefined;
  const parsed = reportedSchema.safeParse(JSON.parse(row.reported));
  return parsed.success ? parsed.data : undefined;
}

export function iso(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}
