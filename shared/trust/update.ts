import { z } from 'zod';
import { LIMITS } from '#shared/kernel/limits.js';
import { fleetIdSchema } from '#shared/protocol/device.js';
import { publicKeySchema } from './keys.js';
import { targetsRoleSchema } from './role-name.js';

/** Public keys a hub holds, which the publisher's root and director target must name. */
export const hubPublicKeysSchema = z.object({
  fleet: fleetIdSchema,
  snapshot: publicKeySchema,
  timestamp: publicKeySchema,
  director: publicKeySchema,
});
export type HubPublicKeys = z.infer<typeof hubPublicKeysSchema>;

/** Signed files a publisher hands to the hub; all are taken over together or none. */
export interface TrustUpdate {
  /** New root files, consecutive versions in order. */
  readonly roots?: readonly Uint8Array[];
  /** New top-level targets file. */
  readonly targets?: Uint8Array;
  /** New targets files of publishers and of their models, by role name. */
  readonly roles?: Readonly<Record<string, Uint8Array>>;
  /** Content of the target `hub/director.json`. */
  readonly director?: Uint8Array;
  /**
   * Brings back what the hub lost: versions may be left out, and targets may be listed whose content the hub lacks. Every
   * signature, and that nothing listed is lost, is checked as ever.
   */
  readonly recovery?: boolean;
}

const fileSchema = z.base64().max(Math.ceil(LIMITS.trustFileBytes / 3) * 4);

/** A `TrustUpdate` as JSON carries it: every file in base64. */
export const trustUpdateSchema = z.strictObject({
  roots: z.array(fileSchema).max(64).optional(),
  targets: fileSchema.optional(),
  roles: z.record(targetsRoleSchema, fileSchema).optional(),
  director: fileSchema.optional(),
  recovery: z.boolean().optional(),
});
export type TrustUpdateJson = z.infer<typeof trustUpdateSchema>;

export function encodeTrustUpdate(update: TrustUpdate): TrustUpdateJson {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  return {
    ...(update.roots === undefined ? {} : { roots: update.roots.map(text) }),
    ...(update.targets === undefined ? {} : { targets: text(update.targets) }),
    ...(update.roles === undefined ? {} : { roles: mapValues(update.roles, text) }),
    ...(update.director === undefined ? {} : { director: text(update.director) }),
    ...(update.recovery === undefined ? {} : { recovery: update.recovery }),
  };
}

export function decodeTrustUpdate(json: TrustUpdateJson): TrustUpdate {
  const bytes = (text: string): Uint8Array => Buffer.from(text, 'base64');
  return {
    ...(json.roots === undefined ? {} : { roots: json.roots.map(bytes) }),
    ...(json.targets === undefined ? {} : { targets: bytes(json.targets) }),
    ...(json.roles === undefined ? {} : { roles: mapValues(json.roles, bytes) }),
    ...(json.director === undefined ? {} : { director: bytes(json.director) }),
    ...(json.recovery === undefined ? {} : { recovery: json.recovery }),
  };
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
