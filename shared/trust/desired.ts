import { z } from 'zod';
import { featureListSchema, lackingFeaturesOf } from '#shared/bundle/features.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { openObject } from '#shared/kernel/open-object.js';
import { deviceIdSchema, fleetIdSchema } from '#shared/protocol/device.js';
import { candidateSchema, rolloutRefSchema } from '#shared/protocol/desired-rollout.js';
import { publicKeySchema } from './keys.js';

export const DESIRED_SCHEMA = 'skerry.desired/1';
/** DSSE payload type of a desired state. */
export const DESIRED_PAYLOAD_TYPE = 'application/vnd.skerry.desired+json';
/** TUF target that names the hub's desired-state keys; signed by the offline targets role. */
export const DIRECTOR_TARGET_PATH = 'hub/director.json';

const entrySchema = openObject({
  version: versionNumberSchema,
  /** SHA-256 of the manifest; must equal the TUF target's. */
  manifest: digestSchema,
  model: modelNameSchema,
  /** Features without which the entry would be misread (shared/bundle/features.ts): a device that lacks one leaves the model as it is. */
  requires: featureListSchema.optional(),
  /** A version marked bad on the device is tried again only when this differs from the value it was marked under. */
  attempt: z.int().min(0),
  /** A version to have loaded beside it. */
  candidate: candidateSchema.optional(),
  /** Left out when no rollout decided it. */
  rollout: rolloutRefSchema.optional(),
});
export type DesiredModel = z.infer<typeof entrySchema>;

/** What one model should be on one device. Of an entry that needs features unknown here, only what names the version is read. */
const desiredModelSchema = z.preprocess((entry: unknown) => (lackingFeaturesOf(entry).length > 0 ? headOf(entry) : entry), entrySchema);

function headOf(entry: unknown): unknown {
  if (typeof entry !== 'object' || entry === null) return entry;
  return Object.fromEntries(Object.entries(entry).filter(([name]) => HEAD.has(name)));
}
const HEAD: ReadonlySet<string> = new Set(['model', 'version', 'manifest', 'attempt', 'requires']);

/**
 * Where the hub is reached, now and after a move. Addresses of a kind that only a later release knows are passed over. Nothing
 * is trusted for its address: what a device runs is signed by publishers.
 */
const hubPlaceSchema = openObject({
  /** Base URL of the HTTP API. */
  api: z.string().max(1024).optional(),
  /** URLs of the broker, `mqtt:`, `mqtts:`, `ws:` or `wss:`, beside those told at enrolment. */
  brokers: z.array(z.string().max(1024)).max(LIMITS.brokerAddresses),
});
export type HubPlace = z.infer<typeof hubPlaceSchema>;

/** The signed statement "device D should run these", as Uptane's Director makes it (Uptane 5.4.2, "targets of the Director"). */
export const desiredStateSchema = openObject({
  schema: z.literal(DESIRED_SCHEMA),
  fleet: fleetIdSchema,
  device: deviceIdSchema,
  /** Grows with every statement to this device; an equal or lower one is a replay. */
  counter: z.int().min(1),
  issuedAt: z.iso.datetime({ offset: true }),
  expires: z.iso.datetime({ offset: true }),
  models: z
    .array(desiredModelSchema)
    .max(LIMITS.modelsPerDevice)
    .refine((models) => new Set(models.map((entry) => entry.model)).size === models.length, 'a model is named twice'),
  /** Left out while the addresses told at enrolment are all there are. */
  hub: hubPlaceSchema.optional(),
});
export type DesiredState = z.infer<typeof desiredStateSchema>;

/** Content of the target `hub/director.json`. */
export const directorKeysSchema = openObject({
  schema: z.literal('skerry.director/1'),
  fleet: fleetIdSchema,
  /** Ed25519 public keys, hex (32 bytes each). */
  keys: z.array(publicKeySchema).min(1).max(8),
});
export type DirectorKeys = z.infer<typeof directorKeysSchema>;
