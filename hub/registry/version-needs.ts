import { z } from 'zod';
import type { Queryable } from '#hub/store/database.js';
import { type ModelName, modelNameSchema, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';

/** What still needs a version; while any of it does, the version is not deleted. */
interface VersionNeeds {
  /** Deployments that are not withdrawn, by id. */
  readonly deployments: readonly string[];
  /** Rollouts under way that roll it out or may go back to it. */
  readonly rollouts: readonly string[];
  /** Devices that are told to run it. */
  readonly wanted: readonly string[];
  /** Devices that report that they have it: serving, kept to go back to, or on its way. */
  readonly kept: readonly string[];
}

/** Each room of the hub answers for its part; the composition root joins them. */
export type VersionUsers = (db: Queryable, model: ModelName, version: VersionNumber) => Promise<Partial<VersionNeeds>>;

/** What was freed. */
export const deletedVersionSchema = z.object({
  model: z.string(),
  version: z.int(),
  /** Artifacts that no other version needs, and their bytes. */
  artifacts: z.int(),
  bytes: z.int(),
});
export type DeletedVersion = z.infer<typeof deletedVersionSchema>;

/** What a retirement freed, or would free. */
export const retiredVersionsSchema = z.object({
  model: modelNameSchema,
  versions: z.array(versionNumberSchema),
  artifacts: z.int(),
  bytes: z.int(),
});
export type RetiredVersions = z.infer<typeof retiredVersionsSchema>;

/** Names listed of each kind. */
const NAMED = 8;

/** Throws `VERSION_IN_USE`, which names what needs it. */
export function requireUnused(model: ModelName, version: VersionNumber, parts: readonly Partial<VersionNeeds>[]): void {
  const of = (kind: keyof VersionNeeds): string[] => [...new Set(parts.flatMap((part) => part[kind] ?? []))];
  const kinds = [
    ['deployment', of('deployments')],
    ['rollout', of('rollouts')],
    ['told to run it:', of('wanted')],
    ['still have it:', of('kept')],
  ] as const;
  const needs = kinds.filter(([, names]) => names.length > 0);
  if (needs.length === 0) return;
  const text = needs.map(([kind, names]) => {
    const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
    return `${kind} ${names.slice(0, NAMED).join(', ')}${more}`;
  });
  const [deployments, rollouts, wanted, kept] = kinds.map(([, names]) => names.slice(0, 64));
  throw new SkerryError('VERSION_IN_USE', `${model}@${version} is needed: ${text.join('; ')}`, {
    details: { deployments, rollouts, wanted, kept },
  });
}
