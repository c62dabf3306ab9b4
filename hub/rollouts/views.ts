import { z } from 'zod';
import { incapableDeviceSchema } from '#hub/fleet/decide/incapable.js';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { actionsOf } from './decide/apply.js';
import { isStatistical } from './gate-document.js';
import { levelsOf } from './decide/budget.js';
import { waveFiguresSchema } from './figures.js';
import { gateResultSchema } from './decide/gates/result.js';
import { OPERATOR_EVENTS, ROLLOUT_EVENTS, ROLLOUT_STATES } from './decide/machine.js';
import { WAVE_ACTIONS } from './decide/plan.js';
import { type Decision, DEVICE_STATUSES, RELEASES, type RolloutDevice, type RolloutRecord } from './record.js';
import type { Outlook } from './runner.js';
import type { ScheduleOutlook } from './decide/schedule.js';

// What the API says about rollouts; routes declare it, clients check by it.

const time = z.iso.datetime();
const error = z.object({ code: z.string(), message: z.string() });

const rolloutSummarySchema = z.object({
  id: z.string(),
  model: modelNameSchema,
  version: versionNumberSchema,
  cohort: z.string(),
  strategy: z.string(),
  state: z.enum(ROLLOUT_STATES),
  /** Index of the wave that is next or under way, from 0. */
  wave: z.int(),
  waves: z.int(),
  since: time,
  createdAt: time,
  createdBy: z.string(),
  /** What a person may do now. */
  actions: z.array(z.enum(OPERATOR_EVENTS)),
});
export type RolloutSummary = z.infer<typeof rolloutSummarySchema>;

/** Whether the schedule lets somebody be told now, and when that changes next; null for not in sight. */
const scheduleViewSchema = z.object({ open: z.boolean(), changes: time.nullable() });

const waveViewSchema = z.object({
  name: z.string(),
  action: z.enum(WAVE_ACTIONS),
  counts: z.record(z.enum(DEVICE_STATUSES), z.int()),
  gates: z.array(z.string()),
  bakeSeconds: z.number(),
  deadlineSeconds: z.number(),
  evidence: z.object({ predictions: z.number(), devices: z.number() }),
  approval: z.string().nullable(),
});

export const rolloutDetailSchema = rolloutSummarySchema.extend({
  waveViews: z.array(waveViewSchema),
  holdouts: z.int(),
  incapable: z.array(incapableDeviceSchema),
  warnings: z.array(z.string()),
  falseAlarms: z.number(),
  /** Level at which one gate of one wave raises an alarm. */
  gateLevel: z.number(),
  /** The newest look at the wave under way. */
  outlook: z
    .object({
      at: time,
      figures: waveFiguresSchema.pick({ progress: true, evidence: true }).nullable(),
      results: z.array(gateResultSchema),
      waitingFor: z.string().nullable(),
    })
    .nullable(),
  /** Null where somebody may be told at any time. */
  window: scheduleViewSchema.nullable(),
  lastDecision: z.object({ at: time, event: z.string(), reason: z.string(), actor: z.string() }).nullable(),
});
export type RolloutDetail = z.infer<typeof rolloutDetailSchema>;

export const rolloutListSchema = z.object({ rollouts: z.array(rolloutSummarySchema) });

const rolloutDeviceViewSchema = z.object({
  device: deviceIdSchema,
  wave: z.int().nullable(),
  status: z.enum(DEVICE_STATUSES),
  toldAt: time.nullable(),
  previous: versionNumberSchema.nullable(),
  error: error.nullable(),
  /** Why it is out of the rollout. */
  released: z.object({ why: z.enum(RELEASES), at: time }).nullable(),
});
export const rolloutDevicesSchema = z.object({ devices: z.array(rolloutDeviceViewSchema) });
export type RolloutDeviceView = z.infer<typeof rolloutDeviceViewSchema>;

const decisionViewSchema = z.object({
  number: z.int(),
  at: time,
  event: z.enum(ROLLOUT_EVENTS),
  from: z.enum(ROLLOUT_STATES),
  to: z.enum(ROLLOUT_STATES),
  wave: z.int(),
  actor: z.object({ name: z.string(), role: z.string(), source: z.string() }),
  reason: z.string(),
  /** Devices it took out of the rollout. */
  devices: z.array(deviceIdSchema),
  figures: waveFiguresSchema.nullable(),
  results: z.array(gateResultSchema),
});
export const decisionListSchema = z.object({ decisions: z.array(decisionViewSchema) });
export type DecisionView = z.infer<typeof decisionViewSchema>;

export const planViewSchema = z.object({
  devices: z.int(),
  waves: z.array(
    z.object({
      name: z.string(),
      action: z.enum(WAVE_ACTIONS),
      devices: z.array(deviceIdSchema),
      gates: z.array(z.string()),
      approval: z.string().nullable(),
    }),
  ),
  incapable: z.array(incapableDeviceSchema),
  warnings: z.array(z.string()),
  /** Null where somebody may be told at any time. */
  window: scheduleViewSchema.nullable(),
});
export type PlanView = z.infer<typeof planViewSchema>;

export const newRolloutSchema = z.strictObject({
  /** The rollout document (hub/rollouts/document.ts). */
  document: z.record(z.string(), z.unknown()),
  /** Record it and wait for `start`. */
  draft: z.boolean().default(false),
  /** End rollouts of the same model under way on the same devices, and take their devices over. */
  supersede: z.boolean().default(false),
});

/** A trial beside the old version that passed, rolled out in its place. */
export const promoteRolloutSchema = z.strictObject({
  /** As in a document; those of the trial when left out. */
  waves: z.array(z.unknown()).optional(),
  draft: z.boolean().default(false),
  supersede: z.boolean().default(false),
});

export const excludeDevicesSchema = z.strictObject({
  devices: z.array(deviceIdSchema).min(1).max(LIMITS.excludedAtOnce),
  reason: z.string().max(512).optional(),
});

export const rolloutActionSchema = z.strictObject({ reason: z.string().max(512).optional() });

export function summaryOf(record: RolloutRecord): RolloutSummary {
  const { document, plan } = record;
  return {
    id: record.id,
    model: document.model,
    version: document.version,
    cohort: typeof document.cohort === 'string' ? document.cohort : document.cohort.saved,
    strategy: document.strategy.kind,
    state: record.state,
    wave: record.wave,
    waves: plan.waves.length,
    since: iso(record.since),
    createdAt: iso(record.createdAt),
    createdBy: record.createdBy,
    actions: actionsOf(record).filter((action) => action !== 'supersede'),
  };
}

export function detailOf(
  record: RolloutRecord,
  rows: readonly RolloutDevice[],
  decisions: readonly Decision[],
  outlook: Outlook | undefined,
  window: ScheduleOutlook | null,
): RolloutDetail {
  const last = decisions.at(-1);
  const joined = new Set(rows.map((row) => row.device));
  const gates = record.plan.waves.map((wave) => wave.gates);
  return {
    ...summaryOf(record),
    waveViews: record.plan.waves.map((wave) => ({
      name: wave.name,
      action: wave.action,
      counts: countsOf(rows.filter((row) => row.wave === wave.index)),
      gates: wave.gates.map((gate) => gate.gate),
      bakeSeconds: wave.bake / 1_000,
      deadlineSeconds: wave.deadline / 1_000,
      evidence: wave.evidence,
      approval: wave.approval,
    })),
    holdouts: rows.filter((row) => row.wave === null).length,
    // Those that joined since, after an update of their agents, are in a wave now.
    incapable: record.plan.incapable.filter(({ device }) => !joined.has(device)),
    warnings: record.plan.warnings,
    falseAlarms: record.document.falseAlarms,
    gateLevel: Math.min(
      record.document.falseAlarms,
      ...gates
        .flat()
        .filter(isStatistical)
        .map((gate) => levelsOf(gate, record.document, gates).alarm),
    ),
    outlook:
      outlook === undefined || outlook.at === 0
        ? null
        : {
            at: iso(outlook.at),
            figures: outlook.figures === null ? null : { progress: outlook.figures.progress, evidence: outlook.figures.evidence },
            results: [...outlook.results],
            waitingFor: outlook.waitingFor,
          },
    window: scheduleViewOf(window),
    lastDecision: last === undefined ? null : { at: iso(last.at), event: last.event, reason: last.reason, actor: last.actor.name },
  };
}

export function scheduleViewOf(window: ScheduleOutlook | null): RolloutDetail['window'] {
  return window && { open: window.open, changes: window.changes === null ? null : iso(window.changes) };
}

export function deviceViewOf(row: RolloutDevice): RolloutDeviceView {
  const { device, wave, status, toldAt, previous, error: said } = row;
  const released = row.released && { why: row.released.why, at: iso(row.released.at) };
  return { device, wave, status, toldAt: toldAt === null ? null : iso(toldAt), previous: previous?.version ?? null, error: said, released };
}

export function decisionViewOf(decision: Decision): DecisionView {
  return { ...decision, at: iso(decision.at) };
}

function countsOf(rows: readonly RolloutDevice[]): RolloutDetail['waveViews'][number]['counts'] {
  const counts = {
    waiting: 0,
    told: 0,
    installed: 0,
    failed: 0,
    unsupported: 0,
    silent: 0,
    reverting: 0,
    reverted: 0,
    unproven: 0,
    holdout: 0,
    released: 0,
  };
  for (const row of rows) counts[row.status] += 1;
  return counts;
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
