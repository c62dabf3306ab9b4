import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { Reported, ReportedVersion } from '#shared/protocol/messages.js';
import type { DesiredModel } from '#shared/trust/desired.js';
import type { VersionRecord } from '#agent/store/contract.js';
import { isWantedAgain, reportedError } from '#agent/install/report-parts.js';
import type { Ledger } from './ledger.js';
import type { InstallProgress } from './install-progress.js';
import type { RuntimeView } from './runtime-view.js';

/** Versions of one model in a report: what matters now, then the newest. */
const REPORTED_VERSIONS = 8;

interface ReportSources {
  readonly ledger: Ledger;
  readonly runtime: RuntimeView;
  readonly progress: InstallProgress;
  desired(model: ModelName): DesiredModel | undefined;
}

/** The part of the reported state that is about models. */
export function reportModels(sources: ReportSources): Reported['models'] {
  return [...sources.ledger.models()].sort().map((model) => {
    const routed = sources.runtime.routed(model);
    const candidate = reportCandidate(sources, model);
    const versions = chosen(sources, model).map((record) => reportVersion(sources, asWanted(sources, record)));
    const lastKnownGood = sources.ledger.serving(model)?.lastKnownGood ?? null;
    return { model, serving: routed ?? null, lastKnownGood, ...(candidate && { candidate }), versions };
  });
}

/** Said only while it is true: loaded for `stage`, and with its share of the requests for the others. */
function reportCandidate(sources: ReportSources, model: ModelName): Reported['models'][number]['candidate'] {
  const { runtime } = sources;
  const wanted = sources.desired(model)?.candidate;
  if (wanted === undefined || runtime.routed(model) === wanted.version) return undefined;
  if (runtime.find(model, wanted.version)?.state !== 'available') return undefined;
  const traffic = runtime.traffic(model);
  if (wanted.action === 'stage') return { version: wanted.version, action: 'stage' };
  return traffic?.candidate === wanted.version ? { version: wanted.version, action: traffic.action } : undefined;
}

function chosen(sources: ReportSources, model: ModelName): VersionRecord[] {
  const { ledger } = sources;
  const serving = ledger.serving(model);
  const first = new Set<VersionNumber | undefined>([
    sources.desired(model)?.version,
    sources.desired(model)?.candidate?.version,
    serving?.serving,
    serving?.lastKnownGood,
  ]);
  const byWeight = ledger
    .versions(model)
    .toSorted((a, b) => Number(first.has(b.version)) - Number(first.has(a.version)) || b.version - a.version);
  return byWeight.slice(0, REPORTED_VERSIONS).sort((a, b) => a.version - b.version);
}

function asWanted(sources: ReportSources, record: VersionRecord): VersionRecord {
  const wish = sources.desired(record.model);
  if (![wish, wish?.candidate].some((entry) => isWantedAgain(record, entry))) return record;
  const { error: _error, ...rest } = record;
  return { ...rest, install: 'wanted' };
}

function reportVersion({ runtime, progress }: ReportSources, record: VersionRecord): ReportedVersion {
  const { model, version, manifest, install } = record;
  const servable = runtime.find(model, version);
  const fetching = install === 'fetching' ? progress.fetching(model, version) : undefined;
  const error = record.error ?? progress.error(model, version);
  return {
    version,
    manifest,
    install,
    ...(servable && { servable: servable.state }),
    ...(servable?.asleep === true && { asleep: true }),
    ...(servable?.variant !== undefined && { variant: servable.variant }),
    ...(servable?.provider !== undefined && { provider: servable.provider }),
    ...(fetching && { progress: fetching }),
    ...(error && { error: reportedError(error) }),
  };
}
