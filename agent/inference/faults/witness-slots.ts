import type { VersionId } from '../instances/instance-protocol.js';

// The file in which instances write down that they are in native code: a header, then a slot for each instance. A slot: one byte
// for what is under way, 32 bytes for the digest of the inputs, and from byte 64 on the version as JSON, filled up with spaces.

/** What native code does for a version: bring it up (golden samples included), or answer a request. */
export type NativeWork = 'load' | 'run';

const WORKS: readonly (NativeWork | 'none')[] = ['none', 'load', 'run'];
export const SLOT = { bytes: 512, versionAt: 64, works: WORKS } as const;

/** Slots of threads that may be alive at one time; what is beyond is not written down. */
export const MAX_SLOTS = 1_024;

/** The first slot is the header's. */
export function offsetOf(slot: number): number {
  return (slot + 1) * SLOT.bytes;
}

/** A slot with nothing under way. */
export function encodeVersion({ model, version }: VersionId): Buffer {
  const slot = Buffer.alloc(SLOT.bytes, ' ');
  slot.fill(0, 0, SLOT.versionAt);
  slot.write(JSON.stringify({ model, version }), SLOT.versionAt);
  return slot;
}
