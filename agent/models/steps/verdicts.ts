import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { StepError } from '../decide/step.js';
import type { StepContext } from './context.js';

/** Times a complete version may find files missing or damaged before it is given up. */
const MAX_LOSSES = 3;

/** Marks a version bad, under the attempt the hub asked for it last. */
export async function giveUp(context: StepContext, model: ModelName, version: VersionNumber, error: StepError): Promise<void> {
  const { ledger, progress } = context;
  await ledger.transition(model, version, 'refuse', { error, attempt: context.attemptOf(ledger.get(model, version)) });
  progress.ended(model, version);
  progress.setError(model, version, undefined);
}

/**
 * Back to fetching: files of a complete version are missing or damaged. Throws `MODELS_LOOP` when that goes round and round; what
 * nothing can replace is tried again after the delay of the step that failed, with the count begun anew (DESIGN R2).
 */
export async function loseFiles({ ledger, losses }: StepContext, model: ModelName, version: VersionNumber): Promise<void> {
  const key = `${model}@${version}`;
  const count = (losses.get(key) ?? 0) + 1;
  if (count > MAX_LOSSES) {
    losses.delete(key);
    throw new SkerryError('MODELS_LOOP', `${model} ${version} lost files ${count} times after they were complete`);
  }
  await ledger.transition(model, version, 'lost');
  losses.set(key, count);
}

/** Hashes the files of a version that did not load; damaged ones are deleted. True when it goes back to fetching. */
export async function recoverDamaged(context: StepContext, model: ModelName, version: VersionNumber): Promise<boolean> {
  const { ledger, manifests, blobs } = context;
  const { manifest } = ledger.get(model, version);
  const facts = await manifests.facts(manifest);
  let whole = await blobs.verify(manifest);
  for (const { digest } of facts?.artifacts ?? []) whole = (await blobs.verify(digest)) && whole;
  if (whole) return false;
  await loseFiles(context, model, version);
  return true;
}
