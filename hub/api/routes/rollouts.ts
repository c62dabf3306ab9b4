import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { z } from 'zod';
import type { Cohorts } from '#hub/rollouts/cohorts.js';
import type { RolloutController } from '#hub/rollouts/controller.js';
import { readRollout, readWaves } from '#hub/rollouts/document.js';
import { gateName } from '#hub/rollouts/gate-document.js';
import { OPERATOR_EVENTS, ROLLOUT_STATES } from '#hub/rollouts/decide/machine.js';
import { outcomeSchema } from '#hub/rollouts/decide/trial-outcome.js';
import type { RolloutStore } from '#hub/rollouts/ports.js';
import {
  decisionListSchema,
  decisionViewOf,
  detailOf,
  deviceViewOf,
  excludeDevicesSchema,
  newRolloutSchema,
  planViewSchema,
  promoteRolloutSchema,
  rolloutActionSchema,
  type RolloutDetail,
  rolloutDetailSchema,
  rolloutDevicesSchema,
  rolloutListSchema,
  type RolloutSummary,
  scheduleViewOf,
  summaryOf,
} from '#hub/rollouts/views.js';
import { actorOf } from '../actor.js';
import { defineRoute } from '../define-route.js';
import type { Route } from '../route.js';
import { cohortRoutes } from './cohorts.js';

const rolloutId = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,191}$/, 'the id of a rollout');
const rolloutParams = z.strictObject({ rollout: rolloutId });
const ACTIONS = OPERATOR_EVENTS.filter((event) => event !== 'supersede' && event !== 'exclude');
const actionParams = z.strictObject({ rollout: rolloutId, action: z.enum(ACTIONS) });
const listQuery = z.strictObject({
  state: z.enum(ROLLOUT_STATES).optional(),
  before: rolloutId.optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
const planBody = newRolloutSchema.pick({ document: true });

/** Rollouts and saved cohorts. */
export function rolloutRoutes(controller: RolloutController, store: RolloutStore, cohorts: Cohorts): readonly Route[] {
  const detail = async (id: string): Promise<RolloutDetail> => {
    const [record, rows, decisions] = await Promise.all([store.read(id), store.devices(id), store.decisions(id)]);
    return detailOf(record, rows, decisions, controller.outlook(id), await controller.window(record, rows));
  };
  return [
    ...creatingRoutes(controller, detail),
    ...followUpRoutes(controller, detail),
    ...actionRoutes(controller, detail),
    ...overviewRoutes(controller, store, detail),
    ...recordRoutes(store),
    ...cohortRoutes(cohorts),
  ];
}

type ReadDetail = (id: string) => Promise<RolloutDetail>;

function creatingRoutes(controller: RolloutController, detail: ReadDetail): readonly Route[] {
  return [
    defineRoute({
      method: 'POST',
      url: '/api/v1/rollouts/plan',
      id: 'planRollout',
      tag: 'rollouts',
      summary: 'What a rollout would do to whom, without doing it',
      access: 'rollout:read',
      audit: () => 'rollouts (plan)',
      body: planBody,
      answer: planViewSchema,
      errors: ['ROLLOUT_INVALID', 'VERSION_UNKNOWN', 'COHORT_UNKNOWN'],
      handler: async ({ body }) => {
        const { plan, window } = await controller.plan(readRollout(body.document));
        const waves = plan.waves.map(({ name, action, devices, gates, approval }) => ({
          name,
          action,
          devices,
          gates: gates.map(gateName),
          approval,
        }));
        return { devices: plan.devices, waves, incapable: plan.incapable, warnings: plan.warnings, window: scheduleViewOf(window) };
      },
    }),
    defineRoute({
      method: 'POST',
      url: '/api/v1/rollouts',
      id: 'createRollout',
      tag: 'rollouts',
      summary: 'Creates a rollout; it begins when its schedule allows, a draft when it is started',
      description: 'Only one rollout of a model is under way on a device: another one is refused, or supersedes the first when asked to.',
      access: 'rollout:write',
      audit: () => 'rollouts',
      body: newRolloutSchema,
      status: 201,
      answer: rolloutDetailSchema,
      errors: ['ROLLOUT_INVALID', 'ROLLOUT_OVERLAP', 'ROLLOUT_EMPTY', 'VERSION_UNKNOWN', 'COHORT_UNKNOWN'],
      handler: async ({ body, caller, request, note }) => {
        const { draft, supersede } = body;
        const record = await controller.create(readRollout(body.document), actorOf(caller, request.ip), { draft, supersede });
        note.target = `rollouts/${record.id}`;
        note.detail = { model: record.document.model, version: record.document.version, draft, supersede };
        return detail(record.id);
      },
    }),
  ];
}

function followUpRoutes(controller: RolloutController, detail: ReadDetail): readonly Route[] {
  return [
    defineRoute({
      method: 'POST',
      url: '/api/v1/rollouts/:rollout/promote',
      id: 'promoteRollout',
      tag: 'rollouts',
      summary: 'Rolls out a version whose shadow or A/B completed: a new canary rollout of the same cohort',
      access: 'rollout:write',
      audit: ({ params }) => `rollouts/${params.rollout}`,
      params: rolloutParams,
      body: promoteRolloutSchema,
      status: 201,
      answer: rolloutDetailSchema,
      errors: ['ROLLOUT_UNKNOWN', 'ROLLOUT_NOT_A_TRIAL', 'ROLLOUT_INVALID', 'ROLLOUT_OVERLAP', 'ROLLOUT_EMPTY'],
      handler: async ({ params, body: { waves, ...options }, caller, request, note }) => {
        const changed = waves === undefined ? undefined : readWaves(waves);
        const record = await controller.promote(params.rollout, changed, actorOf(caller, request.ip), options);
        note.detail = { action: 'promote', created: record.id };
        return detail(record.id);
      },
    }),
    defineRoute({
      method: 'POST',
      url: '/api/v1/rollouts/:rollout/exclude',
      id: 'excludeFromRollout',
      tag: 'rollouts',
      summary: 'Takes devices out of a rollout: who was not told is not told, who was told goes back',
      description: 'What the rollout leaves behind when it completes is not for them either. Devices that are out already stay so.',
      access: 'rollout:write',
      audit: ({ params }) => `rollouts/${params.rollout}`,
      params: rolloutParams,
      body: excludeDevicesSchema,
      answer: rolloutDetailSchema,
      errors: ['ROLLOUT_UNKNOWN', 'ROLLOUT_STATE', 'ROLLOUT_DEVICE_UNKNOWN'],
      handler: async ({ params, body: { devices, reason }, caller, request, note }) => {
        note.detail = {
          action: 'exclude',
          devices: devices.length,
          named: devices.slice(0, 16),
          ...(reason === undefined ? {} : { reason }),
        };
        const actor = actorOf(caller, request.ip);
        await controller.exclude(params.rollout, devices, actor, reason ?? `${actor.name}: exclude ${devices.slice(0, 8).join(', ')}`);
        return detail(params.rollout);
      },
    }),
  ];
}

function actionRoutes(controller: RolloutController, detail: ReadDetail): readonly Route[] {
  return [
    defineRoute({
      method: 'POST',
      url: '/api/v1/rollouts/:rollout/:action',
      id: 'actOnRollout',
      tag: 'rollouts',
      summary: 'Starts, pauses, resumes, approves, aborts, rolls back, or retries what failed',
      description: 'A rollout lists what it allows now as `actions`. Aborting leaves the version where it serves; rolling back does not.',
      access: 'rollout:write',
      audit: ({ params }) => `rollouts/${params.rollout}`,
      params: actionParams,
      body: rolloutActionSchema,
      answer: rolloutDetailSchema,
      errors: ['ROLLOUT_UNKNOWN', 'ROLLOUT_STATE', 'ROLLOUT_ROLE'],
      handler: async ({ params, body, caller, request, note }) => {
        note.detail = { action: params.action, ...(body.reason === undefined ? {} : { reason: body.reason }) };
        await controller.act(params.rollout, params.action, actorOf(caller, request.ip), body.reason);
        return detail(params.rollout);
      },
    }),
  ];
}

function overviewRoutes(controller: RolloutController, store: RolloutStore, detail: ReadDetail): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      url: '/api/v1/rollouts',
      id: 'listRollouts',
      tag: 'rollouts',
      summary: 'Lists the rollouts, newest first',
      description: '`before` continues a list from the last id of the last page.',
      access: 'rollout:read',
      query: listQuery,
      answer: rolloutListSchema,
      errors: ['ROLLOUT_UNKNOWN'],
      handler: async ({ query }) => {
        const rollouts: RolloutSummary[] = [];
        for (const id of await store.page(query)) {
          rollouts.push(summaryOf(await store.read(id)));
          // A record names every device of its plan: the hub does something else between two of them.
          await yieldToLoop();
        }
        return { rollouts };
      },
    }),
    defineRoute({
      method: 'GET',
      url: '/api/v1/rollouts/:rollout',
      id: 'getRollout',
      tag: 'rollouts',
      summary: 'A rollout with its waves and the newest look at its gates',
      access: 'rollout:read',
      params: rolloutParams,
      answer: rolloutDetailSchema,
      errors: ['ROLLOUT_UNKNOWN'],
      handler: async ({ params }) => detail(params.rollout),
    }),
    defineRoute({
      method: 'GET',
      url: '/api/v1/rollouts/:rollout/outcome',
      id: 'getRolloutOutcome',
      tag: 'rollouts',
      summary: 'The new version and the old one side by side, since the first wave began',
      description: 'Kept with the decision that ends a shadow or an A/B; of other rollouts for as long as the figures of single devices.',
      access: 'rollout:read',
      params: rolloutParams,
      answer: outcomeSchema,
      errors: ['ROLLOUT_UNKNOWN'],
      handler: async ({ params }) => controller.outcome(params.rollout),
    }),
  ];
}

function recordRoutes(store: RolloutStore): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      url: '/api/v1/rollouts/:rollout/devices',
      id: 'listRolloutDevices',
      tag: 'rollouts',
      summary: 'Where each device stands in a rollout',
      access: 'rollout:read',
      params: rolloutParams,
      answer: rolloutDevicesSchema,
      errors: ['ROLLOUT_UNKNOWN'],
      handler: async ({ params }) => {
        await store.read(params.rollout);
        return { devices: (await store.devices(params.rollout)).map(deviceViewOf) };
      },
    }),
    defineRoute({
      method: 'GET',
      url: '/api/v1/rollouts/:rollout/decisions',
      id: 'listRolloutDecisions',
      tag: 'rollouts',
      summary: 'Every decision of a rollout: who or which gate, on which figures',
      access: 'rollout:read',
      params: rolloutParams,
      answer: decisionListSchema,
      errors: ['ROLLOUT_UNKNOWN'],
      handler: async ({ params }) => ({ decisions: (await store.decisions(params.rollout)).map(decisionViewOf) }),
    }),
  ];
}
