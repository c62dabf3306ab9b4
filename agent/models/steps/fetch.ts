import type { ModelManifest } from '#shared/bundle/model-manifest.js';
import type { Digest } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { BlobPlan, VersionRecord } from '#agent/store/contract.js';
import { loseFiles } from './verdicts.js';
import type { Handler, StepContext } from './context.js';

/** Versions whose files are looked through for chunks to copy instead of fetch. */
const REUSE_VERSIONS = 4;

/** Refreshes the metadata, checks the version against it, gets its manifest and reads it. */
export const fetchManifest: Handler<'fetchManifest'> = async ({ model, version }, context, signal) => {
  const { ledger, downloads, manifests } = context;
  const { install } = ledger.get(model, version);
  if (install === 'wanted') await ledger.transition(model, version, 'begin');
  else if (install !== 'fetching') await loseFiles(context, model, version);
  const record = ledger.get(model, version);
  await downloads.manifest(record, context, signal);
  requireItsManifest(await manifests.read(record.manifest), record);
};

/** Gets one artifact: chunks that other versions hold are copied, the rest is fetched. */
export const fetchArtifact: Handler<'fetchArtifact'> = async ({ model, version, digest }, context, signal) => {
  const { ledger, manifests, progress, downloads } = context;
  const record = ledger.get(model, version);
  const manifest = await manifests.read(record.manifest);
  const artifact = manifest.artifacts.find((candidate) => candidate.digest === digest);
  if (artifact === undefined) throw new SkerryError('INTERNAL', `${model} ${version} has no artifact ${digest}`);
  await startProgress(context, record);
  const plan: BlobPlan = {
    digest,
    length: artifact.length,
    pieces: artifact.chunks.map(([chunk, length]) => ({ digest: chunk, length })),
    reuse: await reusable(context, record),
  };
  await downloads.file('artifact', plan, signal, (have) => progress.advance(model, version, have));
};

function requireItsManifest(manifest: ModelManifest, { model, version }: VersionRecord): void {
  if (manifest.model === model && manifest.version === version) return;
  throw new SkerryError('MODELS_MANIFEST_MISMATCH', `the manifest of ${model} ${version} describes ${manifest.model} ${manifest.version}`);
}

async function startProgress({ manifests, blobs, progress }: StepContext, { model, version, manifest }: VersionRecord): Promise<void> {
  const facts = await manifests.facts(manifest);
  if (facts === undefined) return;
  const complete = new Set((await blobs.list()).filter((blob) => blob.complete).map((blob) => blob.digest));
  const sum = (artifacts: typeof facts.artifacts): number => artifacts.reduce((bytes, artifact) => bytes + artifact.length, 0);
  progress.start(model, version, sum(facts.artifacts), sum(facts.artifacts.filter(({ digest }) => complete.has(digest))));
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
