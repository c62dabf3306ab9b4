import { z } from 'zod';
import { LIMITS } from '#shared/kernel/limits.js';

/** What a model may be called, as errors and help texts say it. */
export const MODEL_NAME_RULE = 'lower-case letters, digits, ".", "_" and "-", starting and ending with a letter or digit';

/** Lower-case DNS-like name: safe in paths, topics, URLs and metric labels. */
export const modelNameSchema = z
  .string()
  .max(LIMITS.nameLength)
  .regex(/^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/, MODEL_NAME_RULE)
  .refine((name) => !name.includes('..'), 'must not contain ".."')
  .brand<'ModelName'>();
export type ModelName = z.infer<typeof modelNameSchema>;

/**
 * A name where no fleet is: of a folder that is served on this machine. Anything that is one segment of a path; names of a fleet, which are
 * in topics and in signed metadata, are among them.
 */
export const localModelNameSchema = z
  .string()
  .min(1)
  .max(LIMITS.nameLength)
  .regex(/^(?!\.)[^/\\\p{Cc}]+$/u, 'one segment of a path, which does not begin with "."')
  .brand<'ModelName'>();

/** The name under which the agent's own releases are published, deployed and reported; no model may have it. */
export const AGENT_MODEL: ModelName = modelNameSchema.parse('skerry-agent');

/** The release counter of a version: 1, 2, 3 ... It only grows. */
export const versionNumberSchema = z.int().min(1).max(Number.MAX_SAFE_INTEGER).brand<'VersionNumber'>();
export type VersionNumber = z.infer<typeof versionNumberSchema>;

/** Identifies a version of a model in maps and messages: `vad@7`. */
export function versionKey(model: string, version: number): string {
  return `${model}@${version}`;
}

/** SHA-256 in lower-case hex. */
export const digestSchema = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'a SHA-256 digest in lower-case hex')
  .brand<'Digest'>();
export type Digest = z.infer<typeof digestSchema>;
