import type { EpochMillis } from '#shared/kernel/time.js';
import { type JsonObject, type MetadataFile, signMetadata } from '#shared/trust/metadata.js';
import { commonFields, metaFileOf, tufDate } from '#shared/trust/metadata-build.js';
import type { HubKeys } from './hub-keys.js';

/** Targets files a new snapshot lists. */
interface ListedRoles {
  readonly targets: MetadataFile<'targets'>;
  readonly roles: ReadonlyMap<string, MetadataFile<'targets'>>;
}

/** Signs the snapshot that follows `previous`, and any up to version `floor`: the current targets files, and every file it ever listed (TUF 5.5.5). */
export function nextSnapshot(
  previous: MetadataFile<'snapshot'> | undefined,
  listed: ListedRoles,
  keys: HubKeys,
  expires: EpochMillis,
  floor: number,
): MetadataFile<'snapshot'> {
  const meta: JsonObject = {};
  const before = previous?.metadata.signed.meta ?? {};
  for (const [name, file] of Object.entries(before)) meta[name] = file.toJSON();
  for (const file of [listed.targets, ...listed.roles.values()]) {
    const name = `${file.role}.json`;
    // A version of a role has one file: what was named before is not hashed again.
    if (!Object.hasOwn(before, name) || before[name]?.version !== file.version) meta[name] = metaFileOf(file);
  }
  return signMetadata('snapshot', { ...commonFields('snapshot', Math.max(previous?.version ?? 0, floor) + 1, expires), meta }, [
    keys.snapshot,
  ]);
}

/** Signs the timestamp that follows `previous`, and any up to version `floor`, and names `snapshot`. */
export function nextTimestamp(
  previous: MetadataFile<'timestamp'> | undefined,
  snapshot: MetadataFile<'snapshot'>,
  keys: HubKeys,
  now: EpochMillis,
  expires: EpochMillis,
  floor: number,
): MetadataFile<'timestamp'> {
  const meta = { 'snapshot.json': metaFileOf(snapshot) };
  const signed = { ...commonFields('timestamp', Math.max(previous?.version ?? 0, floor) + 1, expires), issued_at: tufDate(now), meta };
  return signMetadata('timestamp', signed, [keys.timestamp]);
}
