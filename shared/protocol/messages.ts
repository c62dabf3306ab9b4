import { z } from 'zod';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { openObject } from '#shared/kernel/open-object.js';
import { healthShape, windowShape } from '#shared/signals/window-schema.js';
import { CANDIDATE_ACTIONS } from './desired-rollout.js';
import { capabilitiesSchema, deviceIdSchema, labelsSchema } from './device.js';

const at = z.iso.datetime({ offset: true });
/** Who said it; must match the topic (a payload is never trusted by its topic alone). */
const origin = { device: deviceIdSchema };
/**
 * Names one start of an agent, at random: two devices copied from one card, or a device put back to an older image, count their starts
 * alike, and are told apart by it. Left out by agents that do not know it; then the number of the start stands for it.
 */
export const bootIdSchema = z.string().regex(/^[A-Za-z0-9-]{8,64}$/, 'letters, digits and "-", 8 to 64');
/**
 * Position in the device's outbox: `boot` grows with every start of the agent, `seq` with every record, across boots; `bootId` names the
 * start that made the record.
 */
const position = { boot: z.int().min(1), bootId: bootIdSchema.optional(), seq: z.int().min(1) };

const errorSchema = openObject({ code: z.string().max(64), message: z.string().max(2048) });

/** States of a servable (docs/ARCHITECTURE.md, "Words"); each is a promise, see agent/inference/servables/servable.ts. */
export const SERVABLE_STATES = ['loading', 'warming', 'available', 'draining', 'unloaded', 'failed'] as const;
export type ServableState = (typeof SERVABLE_STATES)[number];

/** States of a version on a device, in the order an update walks through them. */
export const INSTALL_STATES = ['wanted', 'fetching', 'verifying', 'staged', 'starting', 'probation', 'good', 'bad'] as const;
export type InstallState = (typeof INSTALL_STATES)[number];

const reportedVersionSchema = openObject({
  version: versionNumberSchema,
  manifest: digestSchema,
  install: z.enum(INSTALL_STATES),
  servable: z.enum(SERVABLE_STATES).optional(),
  /** It is available and takes no memory: the next request loads it first. */
  asleep: z.boolean().optional(),
  variant: z.string().max(64).optional(),
  provider: z.string().max(32).optional(),
  /** Bytes already here and in all, while fetching. */
  progress: openObject({ have: z.int().min(0), total: z.int().min(0) }).optional(),
  error: errorSchema.optional(),
});
export type ReportedVersion = z.infer<typeof reportedVersionSchema>;

export const reportedSchema = openObject({
  ...origin,
  at,
  boot: z.int().min(1),
  bootId: bootIdSchema.optional(),
  agentVersion: z.string().max(64),
  labels: labelsSchema,
  capabilities: capabilitiesSchema,
  desired: openObject({
    /** Counter of the newest desired state accepted; 0 before the first. */
    counter: z.int().min(0),
    /** Why the newest one received was refused, if it was. */
    refused: errorSchema.optional(),
  }),
  trust: openObject({
    root: z.int().min(0),
    timestamp: z.int().min(0),
    snapshot: z.int().min(0),
    error: errorSchema.optional(),
    /** Publishers whose targets the device cannot take up, and why; it takes up those of others. */
    unavailable: z.array(openObject({ role: z.string().max(64), error: errorSchema })).optional(),
  }),
  clock: openObject({
    trusted: z.boolean(),
    reason: z.string().max(256).optional(),
    /** It agreed with a statement new to the device since the machine was switched on, and was not set since. */
    confirmed: z.boolean().optional(),
  }),
  models: z.array(
    openObject({
      model: modelNameSchema,
      serving: versionNumberSchema.nullable(),
      /** The version it rolls back to by itself; null for none, left out by agents that do not say it. */
      lastKnownGood: versionNumberSchema.nullable().optional(),
      /** The version loaded beside it, and what is done with it now. */
      candidate: openObject({ version: versionNumberSchema, action: z.enum(CANDIDATE_ACTIONS) }).optional(),
      versions: z.array(reportedVersionSchema),
    }),
  ),
  outbox: openObject({ records: z.int().min(0), bytes: z.int().min(0), dropped: z.int().min(0), coarsened: z.int().min(0) }),
  disk: openObject({
    usedBytes: z.int().min(0),
    budgetBytes: z.int().min(0),
    /** Why nothing new is kept, while it is not. */
    error: errorSchema.optional(),
  }),
});
export type Reported = z.infer<typeof reportedSchema>;

export const presenceSchema = z.object({
  ...origin,
  /** Random per MQTT session; birth and will of one session carry the same. */
  session: z.string().min(8).max(64),
  boot: z.int().min(1),
  bootId: bootIdSchema.optional(),
  /** The start before this one of the same data folder: tells which of two copies a new start belongs to. */
  afterBootId: bootIdSchema.optional(),
  /** What the machine is called, so that somebody finds it. */
  host: z.string().max(255).optional(),
  /** Grows with every MQTT session of a boot: a late death cannot kill a newer session. */
  connection: z.int().min(1),
  state: z.enum(['online', 'offline']),
  at,
});
export type Presence = z.infer<typeof presenceSchema>;

export const EVENT_KINDS = [
  'agent.started',
  'desired.accepted',
  'desired.refused',
  'trust.refreshed',
  'trust.refused',
  'version.state',
  'version.refused',
  'version.served',
  'version.rolled-back',
  'version.crashed',
  'version.evicted',
  'disk.full',
  'outbox.dropped',
  'clock.untrusted',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];
/** A kind that only a later release knows is stored and shown as it came. */
const eventKindSchema = z.string().regex(/^[a-z][a-z.-]{0,63}$/, 'lower-case words with "." and "-", at most 64 characters');

export const eventSchema = z.object({
  ...origin,
  ...position,
  at,
  kind: eventKindSchema,
  model: modelNameSchema.optional(),
  version: versionNumberSchema.optional(),
  error: errorSchema.optional(),
  detail: z.record(z.string(), z.union([z.string().max(2048), z.number(), z.boolean(), z.null()])).optional(),
});
export type DeviceEvent = z.infer<typeof eventSchema>;

/** What a version was on the device: answering for the model, answering a share or only loaded, or run on copies of requests. */
const WINDOW_ROLES = ['serving', 'candidate', 'shadow'] as const;
export type WindowRole = (typeof WINDOW_ROLES)[number];

/**
 * One window of one model version: what it is of, and the signals of a version (shared/signals/rows.ts). Signals that only a later
 * release knows are kept where a window is passed on.
 */
export const windowSchema = openObject({
  model: modelNameSchema,
  version: versionNumberSchema,
  variant: z.string().max(64),
  provider: z.string().max(32),
  role: z.enum(WINDOW_ROLES).optional(),
  ...windowShape(),
});
export type MetricsWindow = z.infer<typeof windowSchema>;

/** CBOR (RFC 8949) on the wire. */
export const telemetrySchema = z.object({
  ...origin,
  ...position,
  /** Window bounds, milliseconds since the epoch: by the device's clock, or by the time signed last where that is wrong. */
  from: z.int(),
  to: z.int(),
  /** True when nobody told the device what time it is: the window counts as measured when it is received. */
  undated: z.boolean().optional(),
  windows: z.array(windowSchema).max(256),
  /** The signals of the device. */
  health: openObject(healthShape()),
});
export type Telemetry = z.infer<typeof telemetrySchema>;

/** Asks for pieces of a blob: `target` is a TUF target (fixed pieces of LIMITS.targetPieceBytes), `artifact` a file cut as its manifest says. */
export const fetchSchema = z.object({
  ...origin,
  id: z.string().min(1).max(64),
  kind: z.enum(['target', 'artifact']),
  digest: digestSchema,
  pieces: z.int().min(1).max(4_194_304),
  /** Bitmap of the missing pieces, base64, piece i at bit (i & 7) of byte (i >> 3). */
  missing: z.base64(),
});
export type FetchRequest = z.infer<typeof fetchSchema>;

const signedFile = z.base64().max(LIMITS.heldBytes);

/**
 * What the device holds that is newer than what the hub offers: the hub lost it (a backup was put back). Everything in it is signed, so
 * nothing can be made up: the desired state accepted last, as it came, and files of the trust metadata by their role.
 */
export const heldSchema = openObject({
  ...origin,
  desired: signedFile.optional(),
  trust: z.record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}(?:_[a-z0-9._-]{1,128})?\.json$/), signedFile).optional(),
});
export type Held = z.infer<typeof heldSchema>;

/** The hub has durably stored (or knowingly refused) these outbox records; the device forgets them. */
export const ackSchema = z.object({
  ...origin,
  records: z
    .array(z.object({ ...position, refused: errorSchema.optional() }))
    .min(1)
    .max(1024),
});
export type Ack = z.infer<typeof ackSchema>;

export const cmdSchema = z.discriminatedUnion('kind', [
  /** Publish the reported state now. */
  z.object({ ...origin, id: z.string().max(64), expires: at, kind: z.literal('report') }),
  /** Close the metrics window and flush the outbox now. */
  z.object({ ...origin, id: z.string().max(64), expires: at, kind: z.literal('flush') }),
  /** The start it names is of a copy of the device: it ends its session and tries again much later. Others ignore it. */
  z.object({ ...origin, id: z.string().max(64), expires: at, kind: z.literal('stand-down'), bootId: bootIdSchema, error: errorSchema }),
  /** A fetch request that can not be answered. */
  z.object({ ...origin, id: z.string().max(64), expires: at, kind: z.literal('fetch-refused'), digest: digestSchema, error: errorSchema }),
]);
export type Cmd = z.infer<typeof cmdSchema>;

const cmdKindSchema = z.object({ kind: z.string().max(64) });
const CMD_KINDS: ReadonlySet<string> = new Set(cmdSchema.options.flatMap(({ shape }) => [...shape.kind.values]));

/** The kind of a command that this release does not know; `undefined` for one it knows, and for what is no command at all. */
export function unknownCommandKind(payload: Uint8Array): string | undefined {
  try {
    const { kind } = parseJson(cmdKindSchema, payload, { what: 'command', maxBytes: LIMITS.controlMessageBytes });
    return CMD_KINDS.has(kind) ? undefined : kind;
  } catch {
    return undefined;
  }
}

/**
 * Retained at `trust/index`: which metadata files exist now. Unsigned and only a hint for "there is no newer root":
 * a lie here can hold updates back until the metadata expires, as not delivering it could, and no more.
 */
export const trustIndexSchema = z.object({
  files: z.array(z.string().regex(/^[a-z0-9._-]{1,224}\.json$/)).max(LIMITS.trustFiles),
});
export type TrustIndex = z.infer<typeof trustIndexSchema>;
