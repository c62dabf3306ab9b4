import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { PublisherFolder } from '#hub/publisher/trust-folder.js';
import { initTrust } from '#hub/publisher/trust-keeper.js';
import { type CurrentFiles, type SignedVersion, signVersionTarget } from '#hub/publisher/trust-sign.js';
import { cutArtifact } from '#shared/bundle/cut-artifact.js';
import { digestOf } from '#shared/bundle/digest.js';
import { encodeGolden } from '#shared/bundle/golden.js';
import { manifestTargetPath } from '#shared/bundle/kinds.js';
import type { Manifest } from '#shared/bundle/manifest.js';
import { type Artifact, MANIFEST_SCHEMA } from '#shared/bundle/manifest-parts.js';
import { type ModelManifest, modelManifestSchema } from '#shared/bundle/model-manifest.js';
import { canonicalJson } from '#shared/bundle/canonical-json.js';
import { versionNumberSchema } from '#shared/bundle/names.js';
import { systemClock } from '#shared/kernel/clock.js';
import { KEY_FILE_COST, passphraseSecret } from '#shared/trust/key-file.js';
import type { HubPublicKeys, TrustUpdate } from '#shared/trust/update.js';

const ROLE = 'alice';

/** The content of a small version that a hub accepts: a "model" of random bytes and one golden sample that fits. */
export interface TestVersion {
  readonly manifest: ModelManifest;
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

export async function testVersion(model: string, version: number, bytes = 300_000): Promise<TestVersion> {
  const weights = new Uint8Array(randomBytes(bytes));
  const golden = new Uint8Array(goldenFile([1, 2]));
  const artifacts = [await cutArtifact([weights], 'weights'), await cutArtifact([golden], 'golden')];
  const [weightsArtifact, goldenArtifact] = artifacts as [Artifact, Artifact];
  const manifest = modelManifestSchema.parse({
    schema: MANIFEST_SCHEMA,
    model,
    version,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [2] }],
    variants: [{ name: 'fp32', format: 'onnx', opset: 17, artifact: weightsArtifact.digest, requires: { providers: ['cpu'] } }],
    goldenSamples: [{ name: 'one', artifact: goldenArtifact.digest, tolerance: { absolute: 1e-3, relative: 1e-3 } }],
    artifacts,
  });
  return {
    manifest,
    files: new Map([
      [weightsArtifact.digest, weights],
      [goldenArtifact.digest, golden],
    ]),
  };
}

/** Golden sample with an input of the given shape. */
export function goldenFile(shape: readonly number[], name = 'x'): Uint8Array {
  const data = (count: number): Uint8Array => new Uint8Array(new Float32Array(count).fill(0.5).buffer);
  const count = shape.reduce((product, size) => product * size, 1);
  return encodeGolden({
    inputs: { [name]: { datatype: 'FP32', shape, data: data(count) } },
    outputs: { y: { datatype: 'FP32', shape: [2], data: data(2) } },
  });
}

/** A publisher with keys of its own in a folder, as `skerry trust init` makes it. */
export class SigningPublisher {
  readonly role = ROLE;
  readonly #folder: PublisherFolder;
  readonly #secret = passphraseSecret('publisher');

  constructor(folder: string) {
    this.#folder = new PublisherFolder(join(folder, 'publisher'), { cost: KEY_FILE_COST });
  }

  /** What the hub has to take over first. */
  init(hub: HubPublicKeys): Promise<TrustUpdate> {
    const publisher = { role: ROLE, models: ['*'] };
    return initTrust({ folder: this.#folder, secret: this.#secret, clock: systemClock, hub, publisher });
  }

  /** The next targets files by role, listing this manifest (or other bytes in its place). */
  async sign(manifest: Manifest, current: CurrentFiles, bytes: Uint8Array = canonicalJson(manifest)): Promise<SignedVersion['roles']> {
    const signed = await signVersionTarget({
      folder: this.#folder,
      secret: this.#secret,
      clock: systemClock,
      role: ROLE,
      current,
      target: {
        path: manifestTargetPath(manifest.model, manifest.version),
        length: bytes.byteLength,
        digest: digestOf(bytes),
        custom: {
          model: manifest.model,
          version: manifest.version,
          minimumVersion: versionNumberSchema.parse(1),
          publishedAt: new Date().toISOString(),
        },
      },
    });
    return signed.roles;
  }
}
