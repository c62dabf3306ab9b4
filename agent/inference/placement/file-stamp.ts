import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { SkerryError } from '#shared/kernel/errors.js';

/** Size, time and number of a file: others when it was written anew. */
export async function fileStamp(file: string): Promise<string> {
  const { size, mtimeMs, ino } = await stat(file);
  return [size, mtimeMs, ino].join(':');
}

/** Rejects where a file is not the one that was loaded, so that no other model answers under its version (`INFERENCE_MODEL_INVALID`). */
export async function requireSameFile(file: string, stamp: string): Promise<void> {
  if ((await fileStamp(file).catch(() => '')) === stamp) return;
  throw new SkerryError('INFERENCE_MODEL_INVALID', `${basename(file)} is no longer the file that was loaded; load the model again`);
}
