import { type ModelName, versionKey } from '#shared/bundle/names.js';
import { asSkerryError, hasCode } from '#shared/kernel/errors.js';
import type { VersionRecord } from '#agent/store/contract.js';
import { servableSpec } from '../servable-spec.js';
import { requireAdmitted } from '#agent/install/admission.js';
import type { Handler, StepContext } from './context.js';

/** Every file is here: checks once more that the version may be installed, then it is staged. */
export const verify: Handler<'verify'> = async ({ model, version }, context) => {
  const { ledger, progress } = context;
  if (ledger.get(model, version).install === 'fetching') await ledger.transition(model, version, 'fetched');
  await requireAdmitted(context, ledger.get(model, version));
  await ledger.transition(model, version, 'verified');
  progress.end(model, version);
};

/** Counts the attempt durably, then loads; golden check and warm-up happen in the runtime. */
export const load: Handler<'load'> = async ({ model, version, purpose, replaces }, context, signal) => {
  const { ledger, runtime, manifests, blobs, machine, logger } = context;
  const { manifest } = ledger.get(model, version);
  // What served before serves without asking; what is new is asked for once more, on the last metadata accepted.
  if (purpose === 'install') await requireAdmitted(context, ledger.get(model, version));
  const spec = servableSpec(await manifests.read(manifest), manifest, blobs, machine);
  try {
    await ledger.countStart(model, version);
  } catch (cause) {
    // R2: a full disk must not keep a device from serving what it served before.
    if (purpose === 'install' || !hasCode(cause, 'DISK_FULL')) throw cause;
    logger.warn({ model, version, code: cause.code }, 'the disk is full; loading without the boot counter');
  }
  try {
    if (replaces !== undefined) await runtime.unload(model, replaces);
    if (runtime.find(model, version)?.state === 'failed') await runtime.unload(model, version);
    await runtime.load(spec, signal);
  } catch (cause) {
    // The process lives: only what ends it is counted, or a good version that is slow to load a few times would be given up.
    await ledger.forgiveStart(model, version).catch((failure: unknown) => {
      logger.warn({ model, version, code: asSkerryError(failure).code }, 'the boot counter could not be reduced after a failed load');
    });
    throw cause;
  }
  context.losses.forget(model, version);
};

/** Serving record and versions in one transaction, then requests go to the new version; the old one is drained by the next step. */
export const switchOver: Handler<'switch'> = async ({ model, version }, { ledger, runtime, events, trials, behaviour }) => {
  const before = ledger.serving(model);
  // What the trial is judged by is kept first: after the switch the version before has no more figures.
  const baseline = before === undefined || before.serving === version ? undefined : behaviour?.recent(model, before.serving);
  if (behaviour !== undefined) await trials.begin(model, version, baseline);
  await ledger.switchTo(model, version, 'switched', lastKnownGoodAfter(ledger.versions(model), before, version));
  runtime.route(model, version);
  behaviour?.begin(model, version);
  events.emit({ kind: 'version.served', model, version, detail: { from: before?.serving ?? null } });
};

export const route: Handler<'route'> = ({ model, version }, { runtime, behaviour, ledger }) => {
  runtime.route(model, version);
  if (ledger.find(model, version)?.install === 'probation') behaviour?.begin(model, version);
  return Promise.resolve();
};

export const direct: Handler<'direct'> = ({ model, policy }, { runtime }) => {
  runtime.direct(model, policy);
  return Promise.resolve();
};

export const recheck: Handler<'recheck'> = ({ model, version }, { runtime }) => runtime.recheck(model, version);

export const unload: Handler<'unload'> = async ({ model, version }, { runtime, behaviour }) => {
  await runtime.unload(model, version);
  behaviour?.forget(model, version);
};

/** The version before it serves again; that is durable where the disk lets it, and true either way. */
export const rollBack: Handler<'rollBack'> = async ({ model, version, from }, context) => {
  const { ledger, runtime, events, trials, behaviour, clock, verdicts } = context;
  const failed = ledger.find(model, from);
  const error = failed?.error;
  const before = ledger.serving(model);
  runtime.route(model, version);
  await ledger.switchTo(model, version, undefined, lastKnownGoodAfter(ledger.versions(model), before, version, from));
  if (behaviour !== undefined && failed !== undefined) await trials.wentBack(model, failed.attempt, clock.now());
  events.emit({
    kind: 'version.rolled-back',
    model,
    version,
    ...(error && { error }),
    detail: { ...verdicts.get(versionKey(model, from)), from },
  });
  verdicts.delete(versionKey(model, from));
};

export const withdraw: Handler<'withdraw'> = async ({ model }, context) => {
  const serving = context.ledger.serving(model);
  await context.ledger.stopServing(model);
  if (serving === undefined) return;
  await endTrial(context, model, serving.serving);
  context.events.emit({ kind: 'version.state', model, version: serving.serving, detail: { to: 'withdrawn' } });
};

async function endTrial({ ledger }: StepContext, model: ModelName, version: VersionRecord['version']): Promise<void> {
  if (ledger.find(model, version)?.install === 'probation') await ledger.transition(model, version, 'superseded');
}

/** The version to go back to once `version` serves: what served, if it is good, else what was kept before, else the newest other good one. */
function lastKnownGoodAfter(
  records: readonly VersionRecord[],
  before: { readonly serving: VersionRecord['version']; readonly lastKnownGood: VersionRecord['version'] | undefined } | undefined,
  version: VersionRecord['version'],
  failed?: VersionRecord['version'],
): VersionRecord['version'] | undefined {
  const good = records.filter((record) => record.install === 'good' && record.version !== version && record.version !== failed);
  const isGood = (candidate: VersionRecord['version'] | undefined) => good.find((record) => record.version === candidate)?.version;
  return isGood(before?.serving) ?? isGood(before?.lastKnownGood) ?? good.at(-1)?.version;
}
