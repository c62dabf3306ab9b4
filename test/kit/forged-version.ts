import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type BuiltVersion, buildVersion, DEFAULT_TOLERANCE } from '#hub/publisher/build.js';
import { httpPublisherHub } from '#hub/publisher/http-hub.js';
import { publishVersion } from '#hub/publisher/publish.js';
import { chooseRole, folderPublisher } from '#hub/publisher/target-signer.js';
import { PublisherFolder } from '#hub/publisher/trust-folder.js';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { systemClock } from '#shared/kernel/clock.js';
import { passphraseSecret } from '#shared/trust/key-file.js';
import type { Fleet } from './fleet.js';

export interface ForgedVersion {
  readonly model: string;
  readonly version: number;
  /** What is shipped, and golden inputs it may be run with here. */
  readonly shipped: { readonly file: string; readonly golden: string };
  /** Another model of the same signature, and the golden inputs whose outputs by it are shipped as the expected ones. */
  readonly recorded: { readonly file: string; readonly golden: string };
}

/**
 * Publishes a model under golden samples recorded with another one: signed as it should be, and wrong. `skerry publish` refuses to
 * make such a version, so this goes around it, as a publisher with a broken build would.
 */
export async function publishForged(fleet: Fleet, { model, version, shipped, recorded }: ForgedVersion): Promise<void> {
  const build = ({ file, golden }: ForgedVersion['shipped']): Promise<BuiltVersion> =>
    buildVersion({
      model: modelNameSchema.parse(model),
      providers: ['cpu'],
      golden: [golden],
      generatedSamples: 0,
      sizes: new Map(),
      variants: [{ name: 'fp32', path: file }],
      tolerance: DEFAULT_TOLERANCE,
    });
  const [ships, records] = [await build(shipped), await build(recorded)];
  const models = new Set<string>(ships.content.variants.map((variant) => variant.artifact));
  const samples = new Set<string>(records.content.goldenSamples.map((sample) => sample.artifact));
  const files = [
    ...ships.files.filter(({ artifact }) => models.has(artifact.digest)),
    ...records.files.filter(({ artifact }) => samples.has(artifact.digest)),
  ];
  const content = { ...ships.content, goldenSamples: records.content.goldenSamples, artifacts: files.map(({ artifact }) => artifact) };

  const hub = httpPublisherHub(fleet.hub);
  const folder = new PublisherFolder(fleet.publisherFolder);
  const passphrase = (await readFile(path.join(fleet.folder, 'passphrase'), 'utf8')).trim();
  const role = await chooseRole(folder, undefined);
  const publisher = folderPublisher({ folder, secret: passphraseSecret(passphrase), hub, clock: systemClock, role });
  await publishVersion({ content, files }, { version: versionNumberSchema.parse(version) }, { hub, publisher, clock: systemClock });
}
