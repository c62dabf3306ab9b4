import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { canonicalJson } from '#shared/bundle/canonical-json.js';
import { cutArtifact } from '#shared/bundle/cut-artifact.js';
import type { ModelManifest as Manifest } from '#shared/bundle/model-manifest.js';
import { encodeTrustUpdate, hubPublicKeysSchema } from '#shared/trust/update.js';
import { type ApiHub, startApiHub } from '../../kit/api-hub.js';
import { goldenFile, SigningPublisher, type TestVersion, testVersion } from '../../kit/signing-publisher.js';
import type { CurrentFiles } from '#hub/publisher/trust-sign.js';
import { modelRoleName } from '#shared/trust/role-name.js';

let hub: ApiHub;
let publisher: SigningPublisher;

beforeEach(async () => {
  hub = await startApiHub();
  publisher = new SigningPublisher(hub.folder);
  const keys = hubPublicKeysSchema.parse(await (await hub.fetch('publisher', '/api/v1/trust/hub-keys')).json());
  const update = await publisher.init(keys);
  await send('PUT', '/api/v1/trust/root', encodeTrustUpdate(update));
});
afterEach(() => hub.close());

async function send(method: string, path: string, body: unknown): Promise<[number, Record<string, unknown>]> {
  const response = await hub.fetch('publisher', path, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return [response.status, (await response.json()) as Record<string, unknown>];
}

async function upload(version: Pick<TestVersion, 'files'>): Promise<void> {
  for (const [digest, body] of version.files) {
    const headers = { 'content-type': 'application/octet-stream' };
    expect((await hub.fetch('publisher', `/api/v1/artifacts/${digest}`, { method: 'PUT', headers, body })).status).toBe(201);
  }
}

const current: CurrentFiles = async (role) => {
  const response = await hub.fetch('publisher', `/api/v1/trust/metadata/${role}.json`);
  return response.ok ? new Uint8Array(await response.arrayBuffer()) : undefined;
};

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const inBase64 = (files: Readonly<Record<string, Uint8Array>>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([role, bytes]) => [role, base64(bytes)]));

/** Files as the hub gives them: the publisher's, and that of a model. */
async function currentFiles(...models: readonly string[]): Promise<Record<string, string>> {
  const roles = [publisher.role, ...models.map((model) => modelRoleName(publisher.role, model))];
  return inBase64(
    Object.fromEntries(await Promise.all(roles.map(async (role) => [role, (await current(role)) ?? new Uint8Array()] as const))),
  );
}

/** Signs what `signed` says and posts `manifest`, which may be another one. */
async function post(manifest: Manifest, signed: Manifest = manifest): Promise<[number, Record<string, unknown>]> {
  const files = await publisher.sign(signed, current);
  return send('POST', `/api/v1/models/${manifest.model}/versions`, {
    manifest: base64(canonicalJson(manifest)),
    role: publisher.role,
    files: inBase64(files),
  });
}

describe('a version that is right', () => {
  test('is published, listed, shown with its manifest, and announced in the trust metadata', async () => {
    const version = await testVersion('vad', 1);
    await upload(version);
    const heard: unknown[] = [];
    hub.bus.subscribe((event) => heard.push(event));
    const [status, body] = await post(version.manifest);
    expect([status, body]).toEqual([
      201,
      expect.objectContaining({ model: 'vad', version: 1, role: 'alice', publisher: 'a publisher', variants: ['fp32'] }),
    ]);
    expect(heard).toContainEqual(
      expect.objectContaining({ kind: 'version.published', model: 'vad', version: 1, manifest: body['manifest'] }),
    );
    expect(hub.tuf.publication()?.versions).toEqual({ root: 1, targets: 1, snapshot: 2, timestamp: 2 });
    const listed = (await (await hub.fetch('viewer', '/api/v1/models')).json()) as { models: unknown[] };
    expect(listed.models).toMatchObject([{ name: 'vad', versions: 1, newest: 1, minimumVersion: 1 }]);
    const shown = (await (await hub.fetch('viewer', '/api/v1/models/vad/versions/1')).json()) as { document: unknown };
    expect(shown.document).toEqual(version.manifest);
  });

  test('sent again is the version already there', async () => {
    const version = await testVersion('vad', 1);
    await upload(version);
    const files = inBase64(await publisher.sign(version.manifest, current));
    const body = { manifest: base64(canonicalJson(version.manifest)), role: publisher.role, files };
    const first = await send('POST', '/api/v1/models/vad/versions', body);
    const second = await send('POST', '/api/v1/models/vad/versions', body);
    expect([first[0], second[0]]).toEqual([201, 200]);
    expect(second[1]).toEqual(first[1]);
  });

  test('that was listed when a crash came before it was stored is completed by the same upload', async () => {
    const version = await testVersion('vad', 1);
    await upload(version);
    const files = await publisher.sign(version.manifest, current);
    await hub.tuf.accept({ roles: files });
    const body = { manifest: base64(canonicalJson(version.manifest)), role: publisher.role, files: inBase64(files) };
    expect((await send('POST', '/api/v1/models/vad/versions', body))[0]).toBe(201);
  });
});

test('a version that a restored hub lost is taken up again, also below what was published since', async () => {
  const [lost, newer] = [await testVersion('vad', 1), await testVersion('vad', 2)];
  for (const version of [lost, newer]) await upload(version);
  await hub.tuf.accept({ roles: await publisher.sign(lost.manifest, current) });
  expect((await post(newer.manifest))[0]).toBe(201);
  const [status, body] = await send('POST', '/api/v1/models/vad/versions', {
    manifest: base64(canonicalJson(lost.manifest)),
    role: publisher.role,
    files: await currentFiles('vad'),
  });
  expect([status, body]).toMatchObject([201, { model: 'vad', version: 1 }]);
});

test('only an administrator deletes a version, so that a stolen token of a publisher deletes none', async () => {
  const version = await testVersion('vad', 1);
  await upload(version);
  await post(version.manifest);
  expect((await hub.fetch('publisher', '/api/v1/models/vad/versions/1', { method: 'DELETE' })).status).toBe(403);
  expect((await hub.fetch('admin', '/api/v1/models/vad/versions/1', { method: 'DELETE' })).status).toBe(200);
});

describe('refused', () => {
  /** The error answered, having changed nothing. */
  const refusal = async (answer: Promise<[number, Record<string, unknown>]>): Promise<Record<string, unknown>> => {
    const before = hub.tuf.publication()?.versions;
    const [status, body] = await answer;
    expect([status >= 400 && status < 500, body['message'], hub.tuf.publication()?.versions]).toEqual([true, expect.any(String), before]);
    return body;
  };

  test('other content under a taken number, and a number that does not grow', async () => {
    const [first, other, third] = [await testVersion('vad', 2), await testVersion('vad', 2), await testVersion('vad', 1)];
    for (const version of [first, other, third]) await upload(version);
    expect((await post(first.manifest))[0]).toBe(201);
    const send2 = (manifest: Manifest): Promise<[number, Record<string, unknown>]> =>
      currentFiles('vad').then((files) =>
        send('POST', '/api/v1/models/vad/versions', { manifest: base64(canonicalJson(manifest)), role: publisher.role, files }),
      );
    expect(await refusal(send2(other.manifest))).toMatchObject({ code: 'VERSION_CONFLICT' });
    expect(await refusal(send2(third.manifest))).toMatchObject({ code: 'VERSION_NOT_NEWER', details: { newest: 2 } });
  });

  test('artifacts that are not here, each named', async () => {
    const version = await testVersion('vad', 1);
    expect(await refusal(post(version.manifest))).toMatchObject({
      code: 'ARTIFACT_MISSING',
      details: { missing: version.manifest.artifacts.map(({ digest, length }) => ({ digest, length, have: null })) },
    });
  });

  test('chunks that are not those of the artifact', async () => {
    const version = await testVersion('vad', 1);
    await upload(version);
    const [weights, golden] = version.manifest.artifacts;
    const chunks = weights!.chunks.with(1, [golden!.chunks[0]![0], weights!.chunks[1]![1]]);
    const body = await refusal(post({ ...version.manifest, artifacts: [{ ...weights!, chunks }, golden!] }));
    expect(body).toMatchObject({ code: 'MANIFEST_MISMATCH', message: expect.stringContaining('chunk 1 of artifact') as string });
  });

  test.each([
    ['of another shape', goldenFile([1, 3]), 'has shape [1,3], the manifest says [-1,2]'],
    ['of other names', goldenFile([1, 2], 'z'), 'input "z" is not declared'],
  ])('a golden sample %s', async (_what, bytes, says) => {
    const version = await testVersion('vad', 1);
    const golden = await cutArtifact([bytes], 'golden');
    await upload({ files: new Map([...version.files, [golden.digest, new Uint8Array(bytes)]]) });
    const manifest = {
      ...version.manifest,
      goldenSamples: [{ ...version.manifest.goldenSamples[0]!, artifact: golden.digest }],
      artifacts: [version.manifest.artifacts[0]!, golden],
    };
    expect(await refusal(post(manifest))).toMatchObject({ code: 'MANIFEST_MISMATCH', message: expect.stringContaining(says) as string });
  });

  test('a golden sample that is no safetensors file', async () => {
    const version = await testVersion('vad', 1);
    await upload(version);
    const [weights] = version.manifest.artifacts;
    const goldenSamples = [{ ...version.manifest.goldenSamples[0]!, artifact: weights!.digest }];
    expect(await refusal(post({ ...version.manifest, goldenSamples }))).toMatchObject({ code: 'SAFETENSORS_INVALID' });
  });

  test('a manifest other than the one signed', async () => {
    const version = await testVersion('vad', 1);
    await upload(version);
    expect(await refusal(post({ ...version.manifest, description: 'tampered with' }, version.manifest))).toMatchObject({
      code: 'MANIFEST_MISMATCH',
    });
  });

  test('a manifest that is not canonical, or for another model', async () => {
    const version = await testVersion('vad', 1);
    await upload(version);
    const body = { role: publisher.role, files: await currentFiles() };
    const loose = base64(Buffer.from(JSON.stringify(version.manifest, undefined, 1)));
    expect(await refusal(send('POST', '/api/v1/models/vad/versions', { ...body, manifest: loose }))).toMatchObject({
      code: 'BUNDLE_MANIFEST_INVALID',
    });
    const strict = base64(canonicalJson(version.manifest));
    expect(await refusal(send('POST', '/api/v1/models/other/versions', { ...body, manifest: strict }))).toMatchObject({
      code: 'MANIFEST_MISMATCH',
    });
  });

  test('targets nobody signed for, and versions that come without content', async () => {
    const version = await testVersion('vad', 1);
    await upload(version);
    const model = modelRoleName(publisher.role, 'vad');
    const files = await publisher.sign(version.manifest, current);
    const signed = JSON.parse(Buffer.from(files[model] ?? []).toString()) as { signatures: { sig: string }[] };
    const forged = { ...signed, signatures: signed.signatures.map((entry) => ({ ...entry, sig: '0'.repeat(128) })) };
    const body = { manifest: base64(canonicalJson(version.manifest)), role: publisher.role };
    const unsigned = inBase64({ ...files, [model]: Buffer.from(JSON.stringify(forged)) });
    expect(await refusal(send('POST', '/api/v1/models/vad/versions', { ...body, files: unsigned }))).toMatchObject({
      code: 'TRUST_TARGETS_SIGNATURE',
    });
    const roles = inBase64(files);
    expect(await refusal(send('PUT', '/api/v1/trust/targets', { roles }))).toMatchObject({
      code: 'MANIFEST_MISMATCH',
      message: expect.stringContaining('publish them with their content') as string,
    });
  });

  test('a root in the place of targets', async () => {
    expect((await send('PUT', '/api/v1/trust/targets', { roots: [] }))[1]).toMatchObject({ code: 'INPUT_SCHEMA' });
  });
});

test('the event loop stays free while a large artifact is checked (R5)', async () => {
  const version = await testVersion('big', 1, 96 * 1024 * 1024);
  await upload(version);
  const publishing = post(version.manifest);
  const done = publishing.then(
    () => true,
    () => true,
  );
  let answered = 0;
  for (;;) {
    const health = hub.fetch(undefined, '/healthz').then((response) => response.arrayBuffer());
    if ((await Promise.race([done, health])) === true) break;
    answered += 1;
  }
  expect((await publishing)[0]).toBe(201);
  // Checked on this thread, the artifact would let one or two requests through, whatever the machine.
  expect(answered).toBeGreaterThan(5);
});
