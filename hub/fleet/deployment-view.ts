import { z } from 'zod';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { incapableDeviceSchema } from './decide/incapable.js';
import { PROGRESS_STATES, progressSchema } from './decide/progress.js';

// What the API says about deployments; routes declare it, clients check by it.

const deploymentSchema = z.object({
  id: z.int(),
  model: modelNameSchema,
  /** Null for one that takes the model off the devices. */
  version: versionNumberSchema.nullable(),
  manifest: digestSchema.nullable(),
  selector: z.string(),
  attempt: z.int(),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  /** The rollout that left it when it completed. */
  rollout: z.string().nullable(),
  /** Since when it counts for nobody: somebody withdrew it, or the rollout that left it was rolled back. */
  withdrawnAt: z.iso.datetime().nullable(),
  /** Who withdrew it; null for the rollout itself. */
  withdrawnBy: z.string().nullable(),
});
export type Deployment = z.infer<typeof deploymentSchema>;

export const deploymentProgressSchema = deploymentSchema.extend({
  counts: z.record(z.enum(PROGRESS_STATES), z.int()),
  devices: z.array(progressSchema.extend({ device: deviceIdSchema })),
});
export type DeploymentProgress = z.infer<typeof deploymentProgressSchema>;

/** What a deployment means for the devices there are. */
export const deploymentPlanSchema = z.object({
  model: modelNameSchema,
  /** Null for one that takes the model off the devices. */
  version: versionNumberSchema.nullable(),
  selector: z.string(),
  /** Number of devices that the selector matches now. */
  matched: z.int(),
  /** Those of them that cannot run the version now, and why; `lacks` names features that their agents have to get by an update. */
  incapable: z.array(incapableDeviceSchema),
  /** Rollouts that it ends. */
  superseded: z.array(z.string()),
});
export type DeploymentPlan = z.infer<typeof deploymentPlanSchema>;

export const createdDeploymentSchema = deploymentSchema.extend(deploymentPlanSchema.shape);
export type CreatedDeployment = z.infer<typeof createdDeploymentSchema>;

export const deploymentListSchema = z.object({ deployments: z.array(deploymentSchema) });

/** What withdrawing a deployment does to the devices that follow it. */
export const withdrawnDeploymentSchema = deploymentSchema.extend({
  /** Devices that follow an older deployment now, and which version that gives them. */
  fellBack: z.array(z.object({ device: deviceIdSchema, version: versionNumberSchema })),
  /** Devices that no other deployment gives the model: it is taken off them. */
  takenOff: z.array(deviceIdSchema),
  /** Devices that keep what they have, as asked. */
  kept: z.array(deviceIdSchema),
});
export type WithdrawnDeployment = z.infer<typeof withdrawnDeploymentSchema>;

export const withdrawQuerySchema = z.strictObject({
  /** Devices keep what they have until something else is decided for them. */
  keep: z.stringbool().default(false),
  /** Only says what it would do. */
  dryRun: z.stringbool().default(false),
});

export const newDeploymentSchema = z.strictObject({
  model: modelNameSchema,
  /** Null takes the model off the devices. */
  version: versionNumberSchema.nullable(),
  /** Label selector; every device when empty. */
  selector: z.string().max(LIMITS.selectorLength).default(''),
  /** Makes devices try the version again that marked it bad. */
  retry: z.boolean().default(false),
  /** Ends rollouts of the model under way on these devices where they stand; without it the deployment is refused. */
  supersede: z.boolean().default(false),
});
