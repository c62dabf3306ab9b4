import { createHash } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type BuildRequest, buildVersion, DEFAULT_TOLERANCE, numbered } from '#hub/publisher/build.js';
import type { ServableSpec } from '#agent/inference/contract.js';
import { servableSpec } from '#agent/models/servable-spec.js';
import { checkGoldenSample } from '#hub/registry/golden-check.js';
import { decodeModelManifest, encodeManifest } from '#shared/bundle/manifest-codec.js';
import type { ModelManifest } from '#shared/bundle/model-manifest.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';

/** A version as a publisher builds it, the hub checks it and a device has it. */
export interface BuiltServable {
  readonly manifest: ModelManifest;
  readonly spec: ServableSpec;
}

/** Builds a version of a model's bytes and lays out its files as on a device. */
export async function buildServable(bytes: Uint8Array, name: string, options: Partial<BuildRequest> = {}): Promise<BuiltServable> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-built-'));
  const file = path.join(folder, `${name}.onnx`);
  await writeFile(file, bytes);
  const built = await buildVersion({
    model: modelNameSchema.parse(name),
    variants: [{ path: file }],
    providers: ['cpu'],
    golden: [],
    generatedSamples: 2,
    sizes: new Map(),
    tolerance: DEFAULT_TOLERANCE,
    ...options,
  });
  const encoded = encodeManifest(numbered(built, versionNumberSchema.parse(1)));
  const manifest = decodeModelManifest(encoded);
  const paths = new Map<string, string>();
  for (const { artifact, source } of built.files) {
    if ('path' in source) paths.set(artifact.digest, source.path);
    else {
      const sample = path.join(folder, artifact.digest);
      await writeFile(sample, source.bytes);
      paths.set(artifact.digest, sample);
      for (const golden of manifest.goldenSamples)
        if (golden.artifact === artifact.digest) checkGoldenSample(source.bytes, golden, manifest);
    }
  }
  const digest = digestSchema.parse(createHash('sha256').update(encoded).digest('hex'));
  const blobs = { path: (of: string): string => paths.get(of) ?? '' };
  return {
    manifest,
    spec: servableSpec(manifest, digest, blobs, { providers: () => ['cpu'], memoryBytes: () => 2 ** 40, freeMemoryBytes: () => 2 ** 40 }),
  };
}
