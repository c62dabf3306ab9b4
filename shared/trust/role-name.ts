import { z } from 'zod';
import { modelNameSchema } from '#shared/bundle/names.js';

// A publisher delegates each of its models to a targets role of its own, signed by the same key (TUF 4.5, 5.6.7). One more version
// then costs a file with the versions of one model, not of all that the publisher ever published.

/** What a publisher may be called, as errors and help texts say it. */
export const ROLE_NAME_RULE = 'lower-case letters, digits and "-", at most 63';

/** Name of a publisher's targets role, to which the top-level targets delegate; part of metadata file names. */
export const roleNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, ROLE_NAME_RULE)
  .refine((name) => !['root', 'targets', 'snapshot', 'timestamp', 'director'].includes(name), 'is the name of a top-level role');

/** Name of a targets role below the top: a publisher's (`acme`), or that of one of its models (`acme_vad`). */
export const targetsRoleSchema = z.string().refine((name) => {
  const model = modelOf(name);
  return roleNameSchema.safeParse(publisherOf(name)).success && (model === undefined || modelNameSchema.safeParse(model).success);
}, 'PUBLISHER or PUBLISHER_MODEL');

/** Name of the role that lists a publisher's versions of one model. Names of publishers hold no "_". */
export function modelRoleName(publisher: string, model: string): string {
  return `${publisher}_${model}`;
}

/** The publisher to whom a role belongs. */
export function publisherOf(role: string): string {
  const end = role.indexOf('_');
  return end < 0 ? role : role.slice(0, end);
}

/** The model whose versions a role lists; `undefined` for a publisher's own role. */
export function modelOf(role: string): string | undefined {
  const end = role.indexOf('_');
  return end < 0 ? undefined : role.slice(end + 1);
}
