import { versionKey } from '#shared/bundle/names.js';
import { requireFeatures } from '#shared/bundle/features.js';
import type { Handler } from './context.js';
import { giveUp } from './verdicts.js';

// Steps that only change what is known about versions.

export const accept: Handler<'accept'> = async ({ model, version, manifest, attempt }, { ledger, progress, losses }) => {
  losses.forget(model, version);
  await ledger.accept(model, version, manifest, attempt);
  progress.setError(model, version, undefined);
};

export const refuse: Handler<'refuse'> = ({ model, version, manifest, error }, { refusedManifests, events }) => {
  refusedManifests.set(model, manifest);
  events.emit({ kind: 'version.refused', model, version, error });
  return Promise.resolve();
};

/** Fails with `FEATURE_MISSING`, as reading a manifest that needs them does: it is reported to the hub and tried again after a growing delay. */
export const lack: Handler<'lack'> = async ({ model, version, features }) =>
  requireFeatures(features, `what the hub wants of ${model} ${version}`);

export const markGood: Handler<'markGood'> = ({ model, version }, { ledger }) => ledger.transition(model, version, 'proved');

/** A version beside the serving one is `staged` again, one that was good before stays good; both with no attempt held against them. */
export const settle: Handler<'settle'> = ({ model, version }, { ledger }) =>
  ledger.transition(model, version, ledger.get(model, version).install === 'good' ? 'proved' : 'superseded');

export const markBad: Handler<'markBad'> = ({ model, version, error: { figures, ...error } }, context) => {
  if (figures !== undefined) context.verdicts.set(versionKey(model, version), figures);
  return giveUp(context, model, version, error);
};

export const supersede: Handler<'supersede'> = ({ model, version }, { ledger }) => ledger.transition(model, version, 'superseded');

export const forget: Handler<'forget'> = ({ model, version }, { ledger, progress }) => {
  progress.end(model, version);
  progress.setError(model, version, undefined);
  return ledger.remove(model, version);
};
