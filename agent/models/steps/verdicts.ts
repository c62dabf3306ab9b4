import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { StepError } from '#agent/install/decide/install-step.js';
import type { StepContext } from './context.js';

/** Marks a version bad, under the attempt the hub asked for it last. */
export async function giveUp(context: StepContext, model: ModelName, version: VersionNumber, error: StepError): Promise<void> {
  const { ledger, progress } = context;
  await ledger.transition(model, version, 'refuse', { error, attempt: context.attemptOf(ledger.get(model, version)) });
  progress.end(model, version);
  progress.setError(model, version, undefined);
}

/**
 * Returns a version to fetching: files of a complete version are missing or damaged. Throws `MODELS_NO_PROGRESS` when that happens again and
 * again; a version that nothing can replace is tried again after the delay of the failed step, with a new count (R2).
 */
export async function loseFiles({ ledger, losses }: StepContext, model: ModelName, version: VersionNumber): Promise<void> {
  losses.add(model, version);
  await ledger.transition(model, version, 'lost');
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
