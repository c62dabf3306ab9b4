import { z } from 'zod';
import type { Role } from '#hub/kernel/roles.js';
import { digestSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { openObject } from '#shared/kernel/open-object.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import type { RolloutDocument } from './document.js';
import { waveFiguresSchema } from './figures.js';
import { gateResultSchema } from './decide/gates/result.js';
import { ROLLOUT_EVENTS, ROLLOUT_STATES } from './decide/machine.js';
import { planSchema } from './decide/plan.js';

/** What a rollback takes back: devices of the current wave, every device told, or only those still on the way. */
const ROLLBACK_SCOPES = ['wave', 'all', 'in-flight'] as const;

/** Everything a rollout is, beside its devices; changed only by `apply`. The document comes back from JSON narrowed already. */
export const rolloutRecordSchema = openObject({
  id: z.string(),
  document: z.custom<RolloutDocument>((value) => typeof value === 'object' && value !== null),
  manifest: digestSchema,
  plan: planSchema,
  state: z.enum(ROLLOUT_STATES),
  /** Index of the wave that is next or under way. */
  wave: z.int().min(0),
  /** Number of decisions so far; a change is refused when it was made on an older one. */
  decisions: z.int().min(0),
  /** When the state was entered. */
  since: z.number(),
  /** When the wave under way began: its evidence counts from here. */
  waveFrom: z.number().nullable(),
  /** Waves whose evidence counts, in the order they began, the one under way last; anew once a wave was taken back. */
  begun: z.array(openObject({ wave: z.int().min(0), at: z.number() })).default([]),
  /** From when the wave's deadline counts; a resume gives it anew. */
  deadlineFrom: z.number().nullable(),
  /** Where `resume` goes. */
  resumeTo: z.enum(ROLLOUT_STATES).nullable(),
  rollback: openObject({ scope: z.enum(ROLLBACK_SCOPES), endsIn: z.enum(['rolled-back', 'paused', 'aborted', 'completed']) }).nullable(),
  /** Waves somebody approved. */
  approved: z.array(z.int()),
  /** Goes up when devices are to try a version again that they marked bad. */
  attempt: z.int().min(0),
  createdAt: z.number(),
  createdBy: z.string(),
});
export type RolloutRecord = z.infer<typeof rolloutRecordSchema>;

/** Who made a decision: the hub by itself, or a person through the API. */
export interface Actor {
  readonly name: string;
  readonly role: Role | 'hub';
  /** Network address it came from; empty for the hub. */
  readonly source: string;
}
export const HUB_ACTOR: Actor = { name: 'hub', role: 'hub', source: '' };

/** One recorded decision (R8): what moved the rollout, on which figures. */
export const decisionSchema = openObject({
  number: z.int().min(1),
  at: z.number(),
  event: z.enum(ROLLOUT_EVENTS),
  from: z.enum(ROLLOUT_STATES),
  to: z.enum(ROLLOUT_STATES),
  wave: z.int().min(0),
  actor: openObject({ name: z.string(), role: z.string(), source: z.string() }),
  reason: z.string(),
  /** Devices it took out of the rollout. */
  devices: z.array(deviceIdSchema).default([]),
  figures: waveFiguresSchema.nullable(),
  results: z.array(gateResultSchema),
});
export type Decision = z.infer<typeof decisionSchema>;

/**
 * Where a device stands in a rollout.
 * `waiting`: not told. `told`: told, not decided. `installed`: reports that it does what it was told. `failed`: reports that
 * it could not. `unsupported`: reports that its agent lacks something the version needs; not a failure, and taken up once the agent is
 * updated. `silent`: told and not heard of for too long. `reverting`: told to go back. `reverted`: reports that it did.
 * `unproven`: told to go back and not heard of, not able to, or not there in time. `holdout`: in no wave, part of the control.
 * `released`: the rollout has nothing to do with it any more; `released` says why.
 */
export const DEVICE_STATUSES = [
  'waiting',
  'told',
  'installed',
  'failed',
  'unsupported',
  'silent',
  'reverting',
  'reverted',
  'unproven',
  'holdout',
  'released',
] as const;
export type DeviceStatus = (typeof DEVICE_STATUSES)[number];

/**
 * Why a device is out of a rollout. `removed`: it was removed from the fleet. `left-cohort`: its labels took it out of the cohort before
 * it was told. `excluded`: a person took it out. `decided-elsewhere`: something newer was decided for it. `over`: the rollout ended first.
 */
export const RELEASES = ['removed', 'left-cohort', 'excluded', 'decided-elsewhere', 'over'] as const;
export type Release = (typeof RELEASES)[number];

const previousSchema = z.object({ version: versionNumberSchema, manifest: digestSchema });

export const rolloutDeviceSchema = z.object({
  device: deviceIdSchema,
  /** Null for a holdout. */
  wave: z.int().min(0).nullable(),
  status: z.enum(DEVICE_STATUSES),
  /** When it was last told something. */
  toldAt: z.number().nullable(),
  /** What it was to run before; null for nothing. */
  previous: previousSchema.nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  /** Set once it is out of the rollout; one that was told and then excluded goes back first. */
  released: z.object({ why: z.enum(RELEASES), at: z.number() }).nullable(),
});
export type RolloutDevice = z.infer<typeof rolloutDeviceSchema>;
