import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type BuiltVersion, buildVersion, DEFAULT_TOLERANCE, type VariantFile } from '#hub/publisher/build.js';
import { httpPublisherHub } from '#hub/publisher/http-hub.js';
import { publishVersion } from '#hub/publisher/publish.js';
import { chooseRole, folderPublisher } from '#hub/publisher/target-signer.js';
import { PublisherFolder } from '#hub/publisher/trust-folder.js';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { systemClock } from '#shared/kernel/clock.js';
import { passphraseSecret } from '#shared/trust/key-file.js';
import { goldenFiles } from './golden.js';
import type { Scene } from './scene.js';

/**
 * Publishes `file` under golden samples recorded with `recordedWith`: validly signed, and wrong. `skerry publish` refuses to make such a
 * version, so this goes around it, as a publisher with a broken build would.
 */
export async function publishWithWrongGolden(scene: Scene, file: string, recordedWith: string, version: number): Promise<void> {
  const golden = await goldenFiles(scene.fleet.folder, scene.recording);
  const build = (model: string): Promise<BuiltVersion> => {
    const variant: VariantFile = { name: 'fp32', path: model };
    const common = {
      model: modelNameSchema.parse('vad'),
      providers: ['cpu'],
      golden,
      generatedSamples: 0,
      sizes: new Map<string, number>(),
    };
    return buildVersion({ ...common, variants: [variant], tolerance: DEFAULT_TOLERANCE, description: 'signed, and wrong' });
  };
  const [shipped, recorded] = [await build(file), await build(recordedWith)];
  const models = new Set<string>(shipped.content.variants.map((variant) => variant.artifact));
  const samples = new Set<string>(recorded.content.goldenSamples.map((sample) => sample.artifact));
  const files = [
    ...shipped.files.filter(({ artifact }) => models.has(artifact.digest)),
    ...recorded.files.filter(({ artifact }) => samples.has(artifact.digest)),
  ];
  const content = { ...shipped.content, goldenSamples: recorded.content.goldenSamples, artifacts: files.map(({ artifact }) => artifact) };

  const hub = httpPublisherHub(scene.fleet.hub);
  const folder = new PublisherFolder(scene.fleet.publisherFolder);
  const passphrase = (await readFile(path.join(scene.fleet.folder, 'passphrase'), 'utf8')).trim();
  const role = await chooseRole(folder, undefined);
  const publisher = folderPublisher({ folder, secret: passphraseSecret(passphrase), hub, clock: systemClock, role });
  await publishVersion({ content, files }, { version: versionNumberSchema.parse(version) }, { hub, publisher, clock: systemClock });
}
