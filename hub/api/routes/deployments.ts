import { z } from 'zod';
import {
  createdDeploymentSchema,
  deploymentListSchema,
  deploymentPlanSchema,
  deploymentProgressSchema,
  newDeploymentSchema,
  withdrawnDeploymentSchema,
  withdrawQuerySchema,
} from '#hub/fleet/deployment-view.js';
import type { Deployments } from '#hub/fleet/deployments.js';
import { actorOf } from '../actor.js';
import { defineRoute } from '../define-route.js';
import type { Route } from '../route.js';

const deploymentParams = z.strictObject({ deployment: z.coerce.number().int().min(1) });
const listQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  withdrawn: z.stringbool().default(true),
});

/** Which devices should run what. */
export function deploymentRoutes(deployments: Deployments): readonly Route[] {
  return [...changingRoutes(deployments), ...readingRoutes(deployments)];
}

function changingRoutes(deployments: Deployments): readonly Route[] {
  return [
    defineRoute({
      method: 'POST',
      url: '/api/v1/deployments',
      id: 'createDeployment',
      tag: 'deployments',
      summary: 'Says that the devices matching a selector should run a version, or (version null) no version of the model',
      description:
        'For each device and model the newest deployment that matches it counts, for devices that enrol or get other labels later as well. `matched` is how many match now. While a rollout of the model is under way on one of them the deployment is refused, unless it is to end that rollout.',
      access: 'deployment:write',
      audit: ({ body }) => (body.version === null ? `models/${body.model}` : `models/${body.model}/versions/${body.version}`),
      body: newDeploymentSchema,
      status: 201,
      answer: createdDeploymentSchema,
      errors: ['VERSION_UNKNOWN', 'MODEL_UNKNOWN', 'SELECTOR_INVALID', 'DESIRED_TOO_LARGE', 'DEPLOYMENT_OVERLAP'],
      handler: async ({ body: { supersede, ...wanted }, caller, request, note }) => {
        const by = actorOf(caller, request.ip);
        const created = await deployments.create({ ...wanted, createdBy: by.name, ...(supersede ? { supersede: by } : {}) });
        const { model, version, retry } = wanted;
        const { selector, matched, incapable, superseded } = created;
        note.target = `deployments/${created.id}`;
        note.detail = { model, version, selector, matched, incapable: incapable.length, retry, superseded };
        return created;
      },
    }),
    defineRoute({
      method: 'DELETE',
      url: '/api/v1/deployments/:deployment',
      id: 'withdrawDeployment',
      tag: 'deployments',
      summary: 'Withdraws a deployment: from now on it counts for nobody',
      description:
        'Devices that follow it follow the newest other deployment that is for them; where there is none, the model is taken off them, unless `keep` is asked for. With `dryRun` nothing changes and the answer says what would.',
      access: 'deployment:write',
      audit: ({ params }) => `deployments/${params.deployment}`,
      params: deploymentParams,
      query: withdrawQuerySchema,
      answer: withdrawnDeploymentSchema,
      errors: ['DEPLOYMENT_UNKNOWN', 'DEPLOYMENT_OVERLAP'],
      handler: async ({ params, query, caller, request, note }) => {
        const withdrawn = await deployments.withdraw(params.deployment, { ...query, by: actorOf(caller, request.ip).name });
        const { model, version, fellBack, takenOff, kept } = withdrawn;
        note.detail = { ...query, model, version, fellBack: fellBack.length, takenOff: takenOff.length, kept: kept.length };
        return withdrawn;
      },
    }),
  ];
}

function readingRoutes(deployments: Deployments): readonly Route[] {
  return [
    defineRoute({
      method: 'POST',
      url: '/api/v1/deployments/plan',
      id: 'planDeployment',
      tag: 'deployments',
      summary: 'What a deployment would do to whom, without doing it',
      description: '`incapable` names the devices that match and cannot run the version now; `lacks` the features that their agents lack.',
      access: 'deployment:read',
      audit: () => 'deployments (plan)',
      body: newDeploymentSchema,
      answer: deploymentPlanSchema,
      errors: ['VERSION_UNKNOWN', 'MODEL_UNKNOWN', 'SELECTOR_INVALID', 'DEPLOYMENT_OVERLAP'],
      handler: async ({ body: { supersede, ...wanted }, caller, request }) => {
        const by = actorOf(caller, request.ip);
        return deployments.plan({ ...wanted, createdBy: by.name, ...(supersede ? { supersede: by } : {}) });
      },
    }),
    defineRoute({
      method: 'GET',
      url: '/api/v1/deployments',
      id: 'listDeployments',
      tag: 'deployments',
      summary: 'Lists the deployments, newest first; withdrawn ones too unless `withdrawn` is false',
      access: 'deployment:read',
      query: listQuery,
      answer: deploymentListSchema,
      handler: async ({ query }) => ({ deployments: await deployments.list(query.limit, query.withdrawn) }),
    }),
    defineRoute({
      method: 'GET',
      url: '/api/v1/deployments/:deployment',
      id: 'getDeployment',
      tag: 'deployments',
      summary: 'A deployment, with how far each of its devices is',
      access: 'deployment:read',
      params: deploymentParams,
      answer: deploymentProgressSchema,
      errors: ['DEPLOYMENT_UNKNOWN'],
      handler: async ({ params }) => deployments.get(params.deployment),
    }),
  ];
}
