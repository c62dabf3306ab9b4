import { beforeAll, describe, expect, it } from 'vitest';
import type { Publication } from '#hub/registry/tuf/publication.js';
import { type JsonObject, parseMetadata, signMetadata } from '#shared/trust/metadata.js';
import { metaFileOf, targetObject } from '#shared/trust/metadata-build.js';
import {
  deliver,
  letIn,
  makeDevice,
  makeTrustWorld,
  published,
  publishVersion,
  refresh,
  ROLE,
  type TrustWorld,
  versionTarget,
} from '../../kit/trust-world.js';

const VAD = versionTarget('vad', 1, 'one');
const AGENT = versionTarget('skerry-agent', 2, 'an agent');

/** What a captured hub could publish that checks nothing itself and has the publisher of models on its side. */
async function colluding(world: TrustWorld): Promise<Publication> {
  const key = await world.folder.openKey(`publisher-${ROLE}.key.json`, world.secret);
  const now = published(world);
  const own = world.hub.roleFile(ROLE);
  const { signed } = own.metadata;
  const targets = { ...(signed.toJSON()['targets'] as JsonObject), [AGENT.path]: targetObject({ ...AGENT, custom: { ...AGENT.custom } }) };
  const role = signMetadata('targets', { ...signed.toJSON(), version: own.version + 1, targets }, [key], ROLE);
  const before = parseMetadata('snapshot', now.files.get(`${now.versions.snapshot}.snapshot.json`) ?? new Uint8Array());
  const listed = before.metadata.signed.toJSON();
  const meta = { ...(listed['meta'] as JsonObject), [`${ROLE}.json`]: metaFileOf(role) };
  const snapshot = signMetadata('snapshot', { ...listed, version: 50, meta }, [world.keys.snapshot]);
  const last = parseMetadata('timestamp', now.files.get('timestamp.json') ?? new Uint8Array());
  const stamp = { ...last.metadata.signed.toJSON(), version: 99, meta: { 'snapshot.json': metaFileOf(snapshot) } };
  const timestamp = signMetadata('timestamp', stamp, [world.keys.timestamp]);
  const files = new Map(now.files)
    .set(`${role.version}.${ROLE}.json`, role.bytes)
    .set('50.snapshot.json', snapshot.bytes)
    .set('timestamp.json', timestamp.bytes);
  return { ...now, files };
}

describe('who may sign what runs on devices', () => {
  let world: TrustWorld;
  beforeAll(async () => {
    world = await makeTrustWorld();
    await publishVersion(world, VAD);
  });

  it('is for models whoever may publish every name, and never the agent', async () => {
    expect(AGENT.path).toBe('agent/2.json');
    await expect(publishVersion(world, AGENT)).rejects.toMatchObject({ code: 'TRUST_TARGET_FORBIDDEN' });
  });

  it('is not a device told by a captured hub together with a publisher of models', async () => {
    const device = await makeDevice(world);
    deliver(device.mirror, await colluding(world));
    // All signatures are right; what the file says of the agent counts for nothing.
    expect(await device.client.refresh()).toMatchObject({ snapshot: 50 });
    expect(await device.client.target(VAD.path)).toEqual(VAD);
    expect(await device.client.target(AGENT.path)).toBeUndefined();
    expect(await device.client.minimumVersion('skerry-agent')).toBe(0);
  });

  it('is the agent for a publisher let in for it, and no model', async () => {
    const mixed = await makeTrustWorld();
    const publish = await letIn(mixed, 'releases', { models: [], agent: true });
    await publish(AGENT);
    await expect(publish(VAD)).rejects.toMatchObject({ code: 'TRUST_TARGET_FORBIDDEN' });
    const device = await makeDevice(mixed);
    await refresh(mixed, device);
    expect(await device.client.target(AGENT.path)).toEqual(AGENT);
  });

  it('is both for one let in for both, as a single person may want', async () => {
    const alone = await makeTrustWorld({ publisher: { role: ROLE, models: ['vad'], agent: true } });
    await publishVersion(alone, VAD);
    await publishVersion(alone, AGENT);
    const device = await makeDevice(alone);
    await refresh(alone, device);
    expect(await device.client.target(AGENT.path)).toEqual(AGENT);
    await expect(publishVersion(alone, versionTarget('ocr', 1, 'ocr'))).rejects.toMatchObject({ code: 'TRUST_TARGET_FORBIDDEN' });
  });

  it('is never the agent by a pattern of model names, however it is written', () => {
    const version = { expires: '2999-01-01T00:00:00Z', spec_version: '1.0.31', version: 1, _type: 'targets', targets: {} };
    const role = (path: string) => ({ name: 'x', keyids: ['a'.repeat(64)], threshold: 1, terminating: false, paths: [path] });
    for (const path of ['*/*.json', 'agent*/*', 'agent/*', 'agent/2.json', '**', 'models/../agent/*', '*', '*/*/*', 'agent/x/*']) {
      const file = { signed: { ...version, delegations: { keys: {}, roles: [role(path)] } }, signatures: [] };
      expect(() => parseMetadata('targets', Buffer.from(JSON.stringify(file)))).toThrow(/paths\.0/);
    }
  });
});
