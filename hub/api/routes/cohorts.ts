import { z } from 'zod';
import { cohortListSchema, savedCohortSchema } from '#hub/rollouts/cohort-view.js';
import type { Cohorts } from '#hub/rollouts/cohorts.js';
import { cohortNameSchema } from '#hub/rollouts/document-parts.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { actorOf } from '../actor.js';
import { defineRoute } from '../define-route.js';
import type { Route } from '../route.js';

const cohortParams = z.strictObject({ cohort: cohortNameSchema });
const cohortBody = z.strictObject({ selector: z.string().max(LIMITS.selectorLength) });

/** Saved cohorts. */
export function cohortRoutes(cohorts: Cohorts): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      url: '/api/v1/cohorts',
      id: 'listCohorts',
      tag: 'rollouts',
      summary: 'Lists the saved cohorts',
      access: 'rollout:read',
      answer: cohortListSchema,
      handler: async () => ({ cohorts: await cohorts.list() }),
    }),
    defineRoute({
      method: 'PUT',
      url: '/api/v1/cohorts/:cohort',
      id: 'saveCohort',
      tag: 'rollouts',
      summary: 'Saves a label selector under a name',
      access: 'rollout:write',
      audit: ({ params }) => `cohorts/${params.cohort}`,
      params: cohortParams,
      body: cohortBody,
      answer: savedCohortSchema,
      errors: ['SELECTOR_INVALID', 'COHORT_IN_USE'],
      handler: async ({ params, body, caller, request }) => cohorts.save(params.cohort, body.selector, actorOf(caller, request.ip).name),
    }),
    defineRoute({
      method: 'DELETE',
      url: '/api/v1/cohorts/:cohort',
      id: 'removeCohort',
      tag: 'rollouts',
      summary: 'Removes a saved cohort',
      access: 'rollout:write',
      audit: ({ params }) => `cohorts/${params.cohort}`,
      params: cohortParams,
      status: 204,
      answer: 'empty',
      errors: ['COHORT_UNKNOWN', 'COHORT_IN_USE'],
      handler: async ({ params }) => cohorts.remove(params.cohort),
    }),
  ];
}
