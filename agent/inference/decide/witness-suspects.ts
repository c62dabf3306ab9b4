import { z } from 'zod';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import type { VersionId } from '../instances/instance-protocol.js';
import { type NativeWork, SLOT } from '../faults/witness-slots.js';

const versionSchema = z.object({ model: modelNameSchema, version: versionNumberSchema });

/** A version that was in native code when the agent ended. */
export interface Suspect extends VersionId {
  readonly work: NativeWork;
  /** Of the inputs, for `run`. */
  readonly digest?: string;
}

/** Who was in native code, by the slots of a file (header left out). Pure; what cannot be read says nothing. */
export function readSuspects(slots: Uint8Array): readonly Suspect[] {
  const suspects: Suspect[] = [];
  for (let at = 0; at + SLOT.bytes <= slots.byteLength; at += SLOT.bytes) {
    const slot = Buffer.from(slots.subarray(at, at + SLOT.bytes));
    const work = SLOT.works[slot[0] ?? 0] ?? 'none';
    if (work === 'none') continue;
    const of = readVersion(slot.toString('utf8', SLOT.versionAt));
    if (of === undefined) continue;
    suspects.push({ ...of, work, ...(work === 'run' ? { digest: slot.toString('hex', 1, 33) } : {}) });
  }
  return suspects;
}

function readVersion(text: string): VersionId | undefined {
  try {
    return versionSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
