import { z } from 'zod';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { PROGRESS_STATES, progressSchema } from './progress.js';

// What the API says about deployments; routes declare it, clients check by it.

export const deploymentSchema = z.object({
  id: z.int(),
  model: modelNameSchema,
  version: versionNumberSchema,
  manifest: digestSchema,
  selector: z.string(),
  attempt: z.int(),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  /** The rollout that left it when it completed. */
  rollout: z.string().nullable(),
  /** Since when it counts for nobody: the rollout that left it was rolled back. */
  withdrawnAt: z.iso.datetime().nullable(),
});
export type Deployment = z.infer<typeof deploymentSchema>;

export const deploymentProgressSchema = deploymentSchema.extend({
  counts: z.record(z.enum(PROGRESS_STATES), z.int()),
  devices: z.array(progressSchema.extend({ device: deviceIdSchema })),
});
export type DeploymentProgress = z.infer<typeof deploymentProgressSchema>;

/** `matched`: devices the selector matched when it was made. `superseded`: rollouts it ended. */
export const createdDeploymentSchema = deploymentSchema.extend({ matched: z.int(), superseded: z.array(z.string()) });
export type CreatedDeployment = z.infer<typeof createdDeploymentSchema>;

export const deploymentListSchema = z.object({ deployments: z.array(deploymentSchema) });

export const newDeploymentSchema = z.strictObject({
  model: modelNameSchema,
  version: versionNumberSchema,
  /** Label selector; every device when empty. */
  selector: z.string().max(LIMITS.selectorLength).default(''),
  /** Makes devices try the version again that marked it bad. */
  retry: z.boolean().default(false),
  /** Ends rollouts of the model under way on these devices where they stand; without it the deployment is refused. */
  supersede: z.boolean().default(false),
});
