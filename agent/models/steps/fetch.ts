import type { ModelManifest } from '#shared/bundle/model-manifest.js';
import type { Digest } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { BlobPlan, VersionRecord } from '#agent/store/contract.js';
import { requireAdmitted } from './admission.js';
import { loseFiles } from './verdicts.js';
import type { Handler, StepContext } from './context.js';

/** Versions whose files are looked through for chunks to copy instead of fetch. */
const REUSE_VERSIONS = 4;

/** Refreshes trust, checks the version against it, gets its manifest and reads it. */
export const fetchManifest: Handler<'fetchManifest'> = async ({ model, version }, context, signal) => {
  const { ledger, trust, blobs, manifests } = context;
  const { install } = ledger.get(model, version);
  if (install === 'wanted') await ledger.transition(model, version, 'begin');
  else if (install !== 'fetching') await loseFiles(context, model, version);
  await trust.refresh(); // Expired or withdrawn metadata stops updates here (DESIGN "Trust").
  const record = ledger.get(model, version);
  const target = await requireAdmitted(context, record);
  if (!(await blobs.has(record.manifest))) {
    const plan = { digest: record.manifest, length: target.length, pieces: targetPieces(target.length), reuse: [] };
    await download(context, 'target', plan, () => undefined, signal);
  }
  requireItsManifest(await manifests.read(record.manifest), record);
};

/** Gets one artifact: chunks that other versions hold are copied, the rest is fetched. */
export const fetchArtifact: Handler<'fetchArtifact'> = async ({ model, version, digest }, context, signal) => {
  const { ledger, manifests, progress } = context;
  const record = ledger.get(model, version);
  const manifest = await manifests.read(record.manifest);
  const artifact = manifest.artifacts.find((candidate) => candidate.digest === digest);
  if (artifact === undefined) throw new SkerryError('INTERNAL', `${model} ${version} has no artifact ${digest}`);
  await tellProgress(context, record);
  const plan: BlobPlan = {
    digest,
    length: artifact.length,
    pieces: artifact.chunks.map(([chunk, length]) => ({ digest: chunk, length })),
    reuse: await reusable(context, record),
  };
  await download(context, 'artifact', plan, (have) => progress.advanced(model, version, have), signal);
};

/** DESIGN "Way 4": one download per file, whoever needs it; whoever comes second waits and plans again. */
async function download(
  context: StepContext,
  kind: 'target' | 'artifact',
  plan: BlobPlan,
  onProgress: (haveBytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const { downloads } = context;
  const underWay = downloads.get(plan.digest);
  if (underWay !== undefined) {
    await abortable(
      underWay.catch(() => undefined),
      signal,
    );
    return;
  }
  const running = downloadAlone(context, kind, plan, onProgress, signal);
  downloads.set(plan.digest, running);
  try {
    await running;
  } finally {
    downloads.delete(plan.digest);
  }
}

async function downloadAlone(
  { blobs, fetcher }: StepContext,
  kind: 'target' | 'artifact',
  plan: BlobPlan,
  onProgress: (haveBytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const blob = await blobs.open(plan);
  try {
    onProgress(blob.haveBytes);
    if (blob.missing().some((bits) => bits !== 0)) await fetcher.fetch(kind, plan.digest, blob, plan.pieces.length, onProgress, signal);
    await blob.finish();
  } finally {
    await blob.close();
  }
}

/** Resolves with `work`, or rejects as soon as `signal` aborts. */
async function abortable(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new SkerryError('ABORTED', 'the download is no longer wanted'));
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** A TUF target is cut at fixed offsets; only its whole digest is known beforehand. */
export function targetPieces(length: number): { length: number }[] {
  const count = Math.max(1, Math.ceil(length / LIMITS.targetPieceBytes));
  return Array.from({ length: count }, (_, index) => ({
    length: Math.min(LIMITS.targetPieceBytes, length - index * LIMITS.targetPieceBytes),
  }));
}

function requireItsManifest(manifest: ModelManifest, { model, version }: VersionRecord): void {
  if (manifest.model === model && manifest.version === version) return;
  throw new SkerryError('MODELS_MANIFEST_MISMATCH', `the manifest of ${model} ${version} describes ${manifest.model} ${manifest.version}`);
}

async function tellProgress({ manifests, blobs, progress }: StepContext, { model, version, manifest }: VersionRecord): Promise<void> {
  const facts = await manifests.facts(manifest);
  if (facts === undefined) return;
  const complete = new Set((await blobs.list()).filter((blob) => blob.complete).map((blob) => blob.digest));
  const sum = (artifacts: typeof facts.artifacts): number => artifacts.reduce((bytes, artifact) => bytes + artifact.length, 0);
  progress.began(model, version, sum(facts.artifacts), sum(facts.artifacts.filter(({ digest }) => complete.has(digest))));
}

/** Artifacts of other versions of this model, newest first: that is where equal chunks are likely. */
async function reusable({ ledger, manifests, blobs }: StepContext, { model, version }: VersionRecord): Promise<BlobPlan['reuse']> {
  const sources: { digest: Digest; chunks: ModelManifest['artifacts'][number]['chunks'] }[] = [];
  const others = ledger.versions(model).filter((record) => record.version !== version && record.install !== 'wanted');
  for (const record of others.toReversed().slice(0, REUSE_VERSIONS)) {
    if (!(await blobs.has(record.manifest))) continue;
    const manifest = await manifests.read(record.manifest).catch(() => undefined);
    for (const { digest, chunks } of manifest?.artifacts ?? []) if (await blobs.has(digest)) sources.push({ digest, chunks });
  }
  return sources;
}
