import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BuiltVersion, buildVersion, DEFAULT_TOLERANCE } from '#hub/publisher/build.js';
import { httpPublisherHub } from '#hub/publisher/http-hub.js';
import { decideVersion, type PublishDeps, publishVersion, type PublishStep } from '#hub/publisher/publish.js';
import type { VersionTarget } from '#hub/publisher/trust-sign.js';
import { digestOf } from '#shared/bundle/digest.js';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { systemClock } from '#shared/kernel/clock.js';
import { coded } from '../../../kit/coded.js';
import * as models from '../../../kit/onnx-models.js';
import { type PublisherHubServer, startPublisherHub } from '../../../kit/publisher-hub.js';

let folder: string;
let server: PublisherHubServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skerry-publish-'));
  server = await startPublisherHub();
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

const v = (version: number) => versionNumberSchema.parse(version);

async function build(model: Uint8Array): Promise<BuiltVersion> {
  const path = join(folder, 'model.onnx');
  await writeFile(path, model);
  return buildVersion({
    model: modelNameSchema.parse('affine'),
    variants: [{ name: 'fp32', path }],
    providers: ['cpu'],
    golden: [],
    generatedSamples: 1,
    sizes: new Map(),
    tolerance: DEFAULT_TOLERANCE,
  });
}

function deps(signed: VersionTarget[] = []): PublishDeps {
  const hub = httpPublisherHub(server);
  return {
    hub,
    clock: systemClock,
    publisher: {
      exclusive: (use) => use(),
      publish: async (model, target, manifest) => {
        signed.push(target);
        await hub.createVersion(model, { manifest, role: 'publishers', files: { publishers: new TextEncoder().encode(target.path) } });
      },
    },
  };
}

describe('publishVersion', () => {
  it('uploads what the hub lacks, signs the manifest and posts both', async () => {
    const signed: VersionTarget[] = [];
    const steps: PublishStep[] = [];
    const result = await publishVersion(await build(models.affineModel()), { minimumVersion: v(1) }, deps(signed), (step) =>
      steps.push(step),
    );
    expect(result).toMatchObject({ model: 'affine', version: 1, created: true });
    expect(result.uploadedBytes).toBe(result.totalBytes);
    const [stored] = server.versions.get('affine')!;
    expect(stored).toMatchObject({
      version: 1,
      manifest: result.manifest,
      role: 'publishers',
      files: { publishers: Buffer.from('models/affine/1.json').toString('base64') },
    });
    expect(signed[0]).toMatchObject({ digest: result.manifest, custom: { model: 'affine', version: 1, minimumVersion: 1 } });
    expect(steps.map((step) => step.kind)).toEqual(['uploading', 'uploading', 'signing']);
  });

  it('finds the same content as the version it is, and uploads nothing', async () => {
    const built = await build(models.affineModel());
    await publishVersion(built, {}, deps());
    await publishVersion(await build(models.affineModel({ scale: 3 })), {}, deps());
    const again = await publishVersion(built, {}, deps());
    expect(again).toMatchObject({ version: 1, created: false, uploadedBytes: 0 });
    expect(server.versions.get('affine')).toHaveLength(2);
  });

  it('uploads only the files that are not there', async () => {
    const built = await build(models.affineModel());
    await publishVersion(built, {}, deps());
    const described = { ...built, content: { ...built.content, description: 'now with words' } };
    const steps: PublishStep[] = [];
    const result = await publishVersion(described, {}, deps(), (step) => steps.push(step));
    expect(result).toMatchObject({ version: 2, created: true, uploadedBytes: 0 });
    expect(steps.map((step) => step.kind)).toEqual(['present', 'signing']);
  });

  it('refuses other content under a taken version before anything is uploaded', async () => {
    await publishVersion(await build(models.affineModel()), {}, deps());
    const other = await build(models.affineModel({ scale: 3 }));
    const before = server.artifacts.size;
    await expect(publishVersion(other, { version: v(1) }, deps())).rejects.toThrow(coded('VERSION_CONFLICT', 'affine@1'));
    expect(server.artifacts.size).toBe(before);
    await expect(publishVersion(other, { version: v(7) }, deps())).resolves.toMatchObject({ version: 7 });
  });

  it('gives back the error the hub names', async () => {
    const built = await build(models.affineModel());
    await publishVersion(built, { version: v(5) }, deps());
    await expect(publishVersion(await build(models.affineModel({ bias: 9 })), { version: v(4) }, deps())).rejects.toThrow(
      coded('VERSION_NOT_NEWER', '4 is not newer'),
    );
    const stranger = { ...deps(), hub: httpPublisherHub({ url: server.url, token: 'wrong' }) };
    await expect(publishVersion(built, {}, stranger)).rejects.toThrow(coded('API_UNAUTHENTICATED'));
  });

  it('notices a file that changed after it was cut', async () => {
    const built = await build(models.inflatedModel({ megabytes: 2 }));
    await writeFile(join(folder, 'model.onnx'), models.inflatedModel({ megabytes: 2, seed: 9 }));
    await expect(publishVersion(built, {}, deps())).rejects.toThrow(coded('ARTIFACT_DIGEST_MISMATCH'));
  });
});

describe('httpPublisherHub', () => {
  it('says when nobody answers, and when it is no hub', async () => {
    const nobody = httpPublisherHub({ url: 'http://127.0.0.1:1', token: 't' });
    await expect(nobody.hubKeys()).rejects.toThrow(coded('HUB_UNREACHABLE', 'http://127.0.0.1:1'));
    server.metadata.set('root.json', new Uint8Array([1, 2]));
    const hub = httpPublisherHub(server);
    expect(await hub.metadata('root.json')).toEqual(Buffer.from([1, 2]));
    expect(await hub.metadata('9.root.json')).toBeUndefined();
    await expect(httpPublisherHub({ ...server, url: `${server.url}/elsewhere` }).hubKeys()).rejects.toThrow(coded('API_NOT_FOUND'));
  });

  it('stops sending a large file that the hub refuses', async () => {
    const built = await build(models.inflatedModel({ megabytes: 8 }));
    const hub = httpPublisherHub({ url: server.url, token: 'wrong' });
    await expect(hub.putArtifact(built.files[0]!, () => undefined)).rejects.toThrow(/API_UNAUTHENTICATED|no such token|did not answer/);
  });
});

describe('decideVersion', () => {
  const entry = (version: number, content: number) => ({
    version: v(version),
    manifest: digestOf(Uint8Array.of(version)),
    contentIdentity: digestOf(Uint8Array.of(content)),
  });
  const published = [entry(1, 1), entry(3, 3), entry(5, 1)];
  const identity = (content: number) => digestOf(Uint8Array.of(content));

  it.each([
    [1, undefined, { kind: 'same', published: entry(5, 1) }],
    [3, undefined, { kind: 'same', published: entry(3, 3) }],
    [9, undefined, { kind: 'new', version: 6 }],
    [1, v(1), { kind: 'same', published: entry(1, 1) }],
    [9, v(3), { kind: 'conflict', version: 3 }],
    [3, v(8), { kind: 'new', version: 8 }],
  ])('content %i wanted as %s gives %j', (content, wanted, decision) => {
    expect(decideVersion(published, identity(content), wanted)).toEqual(decision);
  });

  it('begins at 1', () => {
    expect(decideVersion([], identity(1), undefined)).toEqual({ kind: 'new', version: 1 });
  });
});
