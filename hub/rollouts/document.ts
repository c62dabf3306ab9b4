import { z } from 'zod';
import { ROLES } from '#hub/kernel/roles.js';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { days, hours, minutes } from '#shared/kernel/time.js';
import { durationSchema } from '#shared/kernel/duration.js';
import { narrow } from '#shared/kernel/json.js';
import { cohortSchema, positiveShareSchema, selectorSchema, shareSchema } from './document-parts.js';
import { gateName, gateSchema, isOnShadows } from './gate-document.js';
import { checkKindRules, withKindDefaults } from './decide/kind-rules.js';
import { scheduleSchema } from './decide/schedule.js';

const ROLLOUT_SCHEMA = 'skerry.rollout/1';

const bake = durationSchema.refine((value) => value <= days(30), 'at most 30d');
const deadline = durationSchema.refine((value) => value >= minutes(1) && value <= days(60), 'between 1m and 60d');
const evidence = z.strictObject({
  predictions: z.int().min(0).max(1e12),
  devices: z.int().min(1).max(1e6),
});
const gates = z
  .array(gateSchema)
  .max(32)
  .refine((list) => new Set(list.map(gateName)).size === list.length, 'a gate is named twice');

const waveObjectSchema = z
  .strictObject({
    name: z.string().min(1).max(63).optional(),
    /** Devices up to this share of the cohort, earlier waves included. */
    percent: positiveShareSchema.optional(),
    /** Devices up to this number, earlier waves included. */
    count: z.int().min(1).max(1e6).optional(),
    /** Devices of the rollout's cohort that are also in this one. */
    cohort: cohortSchema.optional(),
    bake: bake.optional(),
    evidence: evidence.partial().optional(),
    deadline: deadline.optional(),
    gates: gates.optional(),
    /** Somebody with this role has to approve before the wave begins. */
    approval: z.enum(ROLES).optional(),
  })
  .refine((wave) => [wave.percent, wave.count, wave.cohort].filter((size) => size !== undefined).length === 1, {
    message: 'needs exactly one of "percent", "count" and "cohort"',
  });
/** `"5%"` is short for `{ percent: "5%" }`. */
const waveSchema = z.preprocess(
  (wave) => (typeof wave === 'string' || typeof wave === 'number' ? { percent: wave } : wave),
  waveObjectSchema,
);

const wavesSchema = z.array(waveSchema).min(1).max(64);

const strategySchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('canary') }),
  /** Every device of the cohort loads the version beside the old one; then all switch at once. */
  z.strictObject({ kind: z.literal('blue-green') }),
  /** The version answers nothing; it runs on this share of the requests and is compared. */
  z.strictObject({ kind: z.literal('shadow'), share: positiveShareSchema.default(0.1) }),
  /** Both versions answer; who gets which is fixed by the request's key or by the device. */
  z.strictObject({ kind: z.literal('ab'), share: positiveShareSchema.default(0.5), sticky: z.enum(['key', 'device']).default('key') }),
]);

const objectSchema = z.strictObject({
  schema: z.literal(ROLLOUT_SCHEMA).default(ROLLOUT_SCHEMA),
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and "-", at most 63')
    .optional(),
  model: modelNameSchema,
  version: versionNumberSchema,
  cohort: z.union(
    [cohortSchema, z.strictObject({ selector: selectorSchema }).transform(({ selector }) => selector)],
    'a label selector such as "site=lab", or { saved: NAME }',
  ),
  strategy: z
    .union([
      z.enum(['canary', 'blue-green']).transform((kind) => ({ kind })),
      z.enum(['shadow']).transform((kind) => ({ kind, share: 0.1 })),
      z.enum(['ab']).transform((kind) => ({ kind, share: 0.5, sticky: 'key' as const })),
      strategySchema,
    ])
    .default({ kind: 'canary' }),
  waves: wavesSchema,
  /** Devices that keep the old version until every gate of the last wave has passed, so that there is something to compare with. */
  reserve: shareSchema.default(0.05),
  bake: bake.default(minutes(30)),
  evidence: evidence.partial().prefault({}),
  deadline: deadline.default(hours(24)),
  gates,
  /** Chance that a version as good as the old one is ever stopped by a gate, over the whole rollout. */
  falseAlarms: z.number().min(1e-6).max(0.5).default(0.01),
  /** Chance that one gate lets a wave pass though the version is as bad as its `ruleOut`. */
  missed: z.number().min(1e-6).max(0.5).default(0.05),
  maxInFlight: z.int().min(1).max(1e6).default(100),
  /** Devices told and not heard of for this long after: a failure to take it up, or left out; never a success. */
  silent: z.strictObject({ after: durationSchema.default(hours(1)), as: z.enum(['failure', 'left-out']).default('failure') }).prefault({}),
  schedule: scheduleSchema.prefault({}),
  onFailure: z.enum(['pause', 'rollback-wave', 'rollback-all']).default('rollback-all'),
  rollback: z.strictObject({ maxInFlight: z.int().min(1).max(1e6).default(1000) }).prefault({}),
});
/** A rollout as written by a person; shares come out as numbers, durations as milliseconds, defaults filled in. */
export const rolloutDocumentSchema = z.preprocess(withKindDefaults, objectSchema.superRefine(checkKindRules));
export type RolloutDocument = z.infer<typeof rolloutDocumentSchema>;
export type WaveDocument = RolloutDocument['waves'][number];

/** True for a version that runs beside the old one and never takes its place: a shadow, or one side of an A/B. */
export function isBeside(document: Pick<RolloutDocument, 'strategy'>): boolean {
  return document.strategy.kind === 'shadow' || document.strategy.kind === 'ab';
}

/** The document of a trial beside the old version as one that puts the version in its place; gates on copies of requests are left out. */
export function promoted({ name: _name, ...document }: RolloutDocument, waves?: RolloutDocument['waves']): RolloutDocument {
  const possible = (list: RolloutDocument['gates']): RolloutDocument['gates'] => list.filter((gate) => !isOnShadows(gate));
  return {
    ...document,
    strategy: { kind: 'canary' },
    gates: possible(document.gates),
    waves: (waves ?? document.waves).map((wave) => (wave.gates === undefined ? wave : { ...wave, gates: possible(wave.gates) })),
  };
}

/** Narrows waves alone, as in a document; throws `ROLLOUT_INVALID`. */
export function readWaves(value: unknown): RolloutDocument['waves'] {
  return narrow(wavesSchema, value, 'the waves', 'ROLLOUT_INVALID');
}

/** Narrows a rollout from an API body; throws `ROLLOUT_INVALID` with every bad path. */
export function readRollout(value: unknown): RolloutDocument {
  return narrow(rolloutDocumentSchema, value, 'the rollout', 'ROLLOUT_INVALID');
}
