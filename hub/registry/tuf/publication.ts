import { z } from 'zod';
import { openObject } from '#shared/kernel/open-object.js';
import { digestSchema } from '#shared/bundle/names.js';
import type { TrustIndex } from '#shared/protocol/messages.js';
import { sha256Hex } from '#shared/trust/metadata.js';
import { targetsRoleSchema } from '#shared/trust/role-name.js';
import type { CompleteSet } from '#shared/trust/decide/update-walk.js';

/** Everything devices fetch, consistent, as published now. */
export interface Published extends CompleteSet {
  /** Every root from the first one this hub was given. */
  readonly roots: ReadonlyMap<number, Uint8Array>;
  /** Content of the target `hub/director.json`. */
  readonly director: Uint8Array;
}

/**
 * Files for the `trust/{file}` topics in the order to publish them: what `timestamp.json` leads to stands before it, and the
 * index comes last, so that a listener never finds a name without its file for longer than the messages take.
 */
export interface Publication {
  readonly index: TrustIndex;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly versions: { readonly root: number; readonly targets: number; readonly snapshot: number; readonly timestamp: number };
}

/** Name under which the content of `hub/director.json` is published (TUF 6.2.4, consistent snapshots of target files). */
export function directorFileName(digest: string): string {
  return `${digest}.director.json`;
}

/** TUF repository names of a published set (TUF 6.2, consistent snapshots). Pure. */
export function publicationOf(set: Published): Publication {
  const files = new Map<string, Uint8Array>();
  for (const [version, bytes] of set.roots) files.set(`${version}.root.json`, bytes);
  files.set(directorFileName(sha256Hex(set.director)), set.director);
  for (const file of [set.targets, ...set.roles.values(), set.snapshot]) files.set(`${file.version}.${file.role}.json`, file.bytes);
  files.set('timestamp.json', set.timestamp.bytes);
  return {
    index: { files: [...files.keys()] },
    files,
    versions: {
      root: set.root.version,
      targets: set.targets.version,
      snapshot: set.snapshot.version,
      timestamp: set.timestamp.version,
    },
  };
}

const versionSchema = z.int().min(1);

/**
 * `current.json`: which stored files are the published ones, and the timestamp itself, which is signed again every hour.
 * Writing it is the one step that commits an update.
 */
export const currentSchema = openObject({
  schema: z.literal('skerry.tuf-current/1'),
  firstRoot: versionSchema,
  root: versionSchema,
  targets: versionSchema,
  roles: z.record(targetsRoleSchema, versionSchema),
  snapshot: versionSchema,
  timestamp: z.base64(),
  director: digestSchema,
});
export type Current = z.infer<typeof currentSchema>;
export const CURRENT_FILE = 'current.json';

export function currentOf(set: Published): Current {
  return {
    schema: 'skerry.tuf-current/1',
    firstRoot: Math.min(...set.roots.keys()),
    root: set.root.version,
    targets: set.targets.version,
    roles: Object.fromEntries([...set.roles].map(([role, file]) => [role, file.version])),
    snapshot: set.snapshot.version,
    timestamp: Buffer.from(set.timestamp.bytes).toString('base64'),
    director: digestSchema.parse(sha256Hex(set.director)),
  };
}
