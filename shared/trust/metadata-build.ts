import type { EpochMillis } from '#shared/kernel/clock.js';
import { type JsonObject, type Kind, type MetadataFile, sha256Hex } from './metadata.js';

/** Version of the TUF specification that files are written for. */
export const TUF_SPEC_VERSION = '1.0.31';

/** `YYYY-MM-DDTHH:MM:SSZ`, the form TUF 4.1 gives for dates; fractions of a second are cut off. */
export function tufDate(at: EpochMillis): string {
  return new Date(at).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** Members every `signed` part begins with (TUF 4.3 to 4.6). */
export function commonFields(kind: Kind, version: number, expires: EpochMillis): JsonObject {
  return { _type: kind, spec_version: TUF_SPEC_VERSION, version, expires: tufDate(expires) };
}

/** How a superior names a file: version, length and hash (TUF 4.4, METAFILES). */
export function metaFileOf(file: MetadataFile<Kind>): JsonObject {
  return { version: file.version, length: file.bytes.byteLength, hashes: { sha256: sha256Hex(file.bytes) } };
}
