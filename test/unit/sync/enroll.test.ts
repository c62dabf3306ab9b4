import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { enroll, type EnrollOptions } from '#agent/sync/enroll.js';
import { readIdentity, requireIdentity } from '#agent/sync/identity.js';
import { systemClock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { capabilitiesSchema, labelsSchema } from '#shared/protocol/device.js';
import { type EnrollRequest, enrollRequestSchema, enrolmentStatement } from '#shared/protocol/enrolment.js';
import { publicKeySchema, verifySignature } from '#shared/trust/keys.js';
import { tempFolder } from '../../kit/temp-folder.js';
import { FLEET, makeTrustWorld } from '../../kit/trust-world.js';

const TOKEN = `skt_${'a'.repeat(43)}`;
const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

/** A hub that answers enrolments as told, and keeps what it was asked. */
async function startHub(
  answer: (request: EnrollRequest) => { status: number; body: unknown },
): Promise<{ url: string; requests: EnrollRequest[] }> {
  const requests: EnrollRequest[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = enrollRequestSchema.parse(JSON.parse(Buffer.concat(parts).toString()));
      requests.push(body);
      const { status, body: reply } = answer(body);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(reply));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

const options = (data: string, hub: string, more: Partial<EnrollOptions> = {}): EnrollOptions => ({
  data,
  hub,
  token: TOKEN,
  labels: labelsSchema.parse({ site: 'lab' }),
  capabilities: capabilitiesSchema.parse({
    os: 'linux',
    arch: 'x64',
    cpus: 1,
    memoryBytes: 1,
    providers: ['cpu'],
    runtime: { name: 'onnxruntime', version: '1' },
  }),
  agentVersion: '0.1.0',
  clock: systemClock,
  ...more,
});

const granted = (root: Uint8Array) => () => ({
  status: 201,
  body: {
    device: 'lab-1',
    fleet: FLEET,
    mqtt: { url: 'mqtt://127.0.0.1:1883', username: 'lab-1', password: 'p'.repeat(24) },
    root: Buffer.from(root).toString('base64'),
    time: new Date().toISOString(),
  },
});

describe('enroll', () => {
  it('proves its key, pins the root, and keeps the identity for its owner alone', async () => {
    const world = await makeTrustWorld();
    const hub = await startHub(granted(world.hub.root().bytes));
    const data = join(await tempFolder(), 'agent');
    const { identity, clockOffset } = await enroll(options(data, hub.url));
    const [request] = hub.requests;
    const proof = Buffer.from(request!.proof, 'hex');
    expect(verifySignature(publicKeySchema.parse(request!.publicKey), enrolmentStatement(request!), proof)).toBe(true);
    expect(identity).toMatchObject({ device: 'lab-1', fleet: FLEET, labels: { site: 'lab' }, hub: hub.url });
    expect(await requireIdentity(data)).toEqual(identity);
    expect(Math.abs(clockOffset)).toBeLessThan(60_000);
    for (const file of ['identity.json', 'device.key', 'device.secret']) expect((await stat(join(data, file))).mode & 0o077).toBe(0);
    expect(await readFile(join(data, 'device.key'), 'utf8')).toContain('sealed');
    await expect(enroll(options(data, hub.url))).rejects.toMatchObject({ code: 'SYNC_ALREADY_ENROLLED' });
  });

  it('keeps key and root when it enrols again by force, whatever root it is shown', async () => {
    const world = await makeTrustWorld();
    const other = await makeTrustWorld();
    const data = await tempFolder();
    const first = await startHub(granted(world.hub.root().bytes));
    await enroll(options(data, first.url));
    const second = await startHub(granted(other.hub.root().bytes));
    await enroll(options(data, second.url, { force: true }));
    expect(second.requests[0]?.publicKey).toBe(first.requests[0]?.publicKey);
    const anchor = await readFile(join(data, 'trust', 'anchor.root.json'));
    expect(Buffer.compare(anchor, world.hub.root().bytes)).toBe(0);
  });

  it('21 L: keeps labels and certificates when it enrols again, with those given over them, also where the file was damaged', async () => {
    const world = await makeTrustWorld();
    const data = await tempFolder();
    const hub = await startHub(granted(world.hub.root().bytes));
    await enroll(options(data, hub.url, { ca: 'PEM', labels: labelsSchema.parse({ site: 'lab', tier: 'gold' }) }));
    const { identity } = await enroll(options(data, hub.url, { force: true, labels: labelsSchema.parse({ tier: 'silver' }) }));
    expect(identity).toMatchObject({ labels: { site: 'lab', tier: 'silver' }, mqtt: { ca: 'PEM' } });
    expect(hub.requests[1]?.labels).toEqual({ site: 'lab', tier: 'silver' });
    await writeFile(join(data, 'identity.json'), '{');
    expect((await enroll(options(data, hub.url, { force: true }))).identity.device).toBe('lab-1');
  });

  it('21 I: takes the labels that the hub knows of the device it replaces', async () => {
    const world = await makeTrustWorld();
    const grant = granted(world.hub.root().bytes)();
    const hub = await startHub(() => ({ ...grant, body: { ...grant.body, labels: { site: 'field' } } }));
    const { identity } = await enroll(options(await tempFolder(), hub.url, { labels: {} }));
    expect(identity.labels).toEqual({ site: 'field' });
  });

  it('21 L: another fleet needs a folder of its own; the identity stays as it is', async () => {
    const world = await makeTrustWorld();
    const data = await tempFolder();
    const grant = granted(world.hub.root().bytes)();
    const hub = await startHub(() => grant);
    const { identity } = await enroll(options(data, hub.url));
    const other = await startHub(() => ({ ...grant, body: { ...grant.body, fleet: 'elsewhere' } }));
    await expect(enroll(options(data, other.url, { force: true }))).rejects.toMatchObject({ code: 'SYNC_FLEET_MISMATCH' });
    expect(await readIdentity(data)).toEqual(identity);
  });

  it('18 F: makes a new key for a machine that was copied from another device, and keeps the old one beside it', async () => {
    const world = await makeTrustWorld();
    const hub = await startHub(granted(world.hub.root().bytes));
    const data = await tempFolder();
    await enroll(options(data, hub.url));
    await enroll(options(data, hub.url, { force: true, newKey: true }));
    expect(hub.requests[1]?.publicKey).not.toBe(hub.requests[0]?.publicKey);
    expect((await readdir(data)).filter((name) => name.startsWith('device.key'))).toHaveLength(2);
  });

  it('says what the hub refused it for, and may be run again', async () => {
    const data = await tempFolder();
    const refusal = new SkerryError('ENROL_TOKEN_INVALID', 'the token is used up').toBody();
    const hub = await startHub(() => ({ status: 401, body: refusal }));
    await expect(enroll(options(data, hub.url))).rejects.toMatchObject({ code: 'ENROL_TOKEN_INVALID', message: 'the token is used up' });
    expect(await readIdentity(data)).toBeUndefined();
    const world = await makeTrustWorld();
    const again = await startHub(granted(world.hub.root().bytes));
    await enroll(options(data, again.url));
    expect(again.requests[0]?.publicKey).toBe(hub.requests[0]?.publicKey);
  });

  it('tells an unreachable hub from one that answers nonsense, and pins no root that signs nothing', async () => {
    const data = await tempFolder();
    await expect(enroll(options(data, 'http://127.0.0.1:1'))).rejects.toMatchObject({ code: 'SYNC_ENROLL_FAILED' });
    const odd = await startHub(() => ({ status: 502, body: 'proxy error' }));
    await expect(enroll(options(data, odd.url))).rejects.toThrow(/status 502/);
    const lying = await startHub(granted(Buffer.from('{}')));
    await expect(enroll(options(data, lying.url))).rejects.toMatchObject({ code: 'TRUST_ROOT_FORMAT' });
    expect(await readIdentity(data)).toBeUndefined();
  });

  it('says that a hub speaks no TLS, and that a folder cannot be made', async () => {
    const data = await tempFolder();
    const hub = await startHub(() => ({ status: 500, body: '' }));
    await expect(enroll(options(data, hub.url.replace('http:', 'https:')))).rejects.toThrow(/its URL may begin with http:\/\/$/);
    const link = join(data, 'agent');
    await symlink('nowhere', link);
    await expect(enroll(options(link, hub.url))).rejects.toThrow(`the folder ${link} could not be created`);
  });

  it('refuses an identity file that was damaged', async () => {
    const data = await tempFolder();
    await mkdir(data, { recursive: true });
    await writeFile(join(data, 'identity.json'), '{"schema":"skerry.identity/1"');
    await expect(requireIdentity(data)).rejects.toMatchObject({ code: 'SYNC_IDENTITY_CORRUPT' });
    await expect(requireIdentity(join(data, 'none'))).rejects.toMatchObject({ code: 'SYNC_NOT_ENROLLED' });
  });
});
