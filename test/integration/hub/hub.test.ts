import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { onTestFinished, expect, test } from 'vitest';
import { ROLES, type Role, roleMay } from '#hub/kernel/roles.js';
import { type Hub, startHub } from '#hub/app.js';
import { loadHubConfig } from '#hub/config.js';
import { HubClient } from '#hub/cli/client.js';
import { localHub } from '#hub/cli/context.js';
import { createdTokenSchema } from '#hub/api/views.js';
import { createdEnrolmentTokenSchema } from '#hub/fleet/enrolment-view.js';
import { VersionStore } from '#hub/registry/version-store.js';
import { openDatabase } from '#hub/store/open.js';
import { digestOf } from '#shared/bundle/digest.js';
import { days } from '#shared/kernel/time.js';
import { coded } from '../../kit/coded.js';
import { enrolRequest } from '../../kit/fleet-hub.js';
import { recordingLogger } from '../../kit/recorder.js';
import { tempFolder } from '../../kit/temp-folder.js';

interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: Readonly<Record<string, string>>;
}

async function start(dataDir: string, { env = {}, flags = {} }: StartOptions = {}): Promise<Hub> {
  const config = await loadHubConfig({ flags: { dataDir, httpPort: '0', mqttPort: '0', ...flags }, env });
  const hub = await startHub({ config, env, logger: recordingLogger().logger });
  onTestFinished(() => hub.close());
  return hub;
}

const mode = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

test('the first start makes what it needs; the second finds it', async () => {
  const data = join(await tempFolder(), 'hub');
  const first = await start(data);
  expect(first.newAdminToken).toBe(join(data, 'admin.token'));
  expect([await mode(data), await mode(join(data, 'admin.token')), await mode(join(data, 'keys', 'hub.secret'))]).toEqual([
    '700',
    '600',
    '600',
  ]);
  expect(JSON.parse(await readFile(join(data, 'hub.json'), 'utf8'))).toEqual(first.state);
  const token = await readFile(join(data, 'admin.token'), 'utf8');
  await first.close();
  expect(await readdir(data)).not.toContain('hub.json');
  const second = await start(data);
  expect([second.newAdminToken, await readFile(join(data, 'admin.token'), 'utf8')]).toEqual([undefined, token]);
  const address = await localHub(data);
  const answer = await fetch(`${second.state.httpUrl}/api/v1/whoami`, { headers: { authorization: `Bearer ${address?.token}` } });
  expect(await answer.json()).toMatchObject({ name: 'first admin', role: 'admin' });
  await second.close();
});

test('an artifact that a crash left without a row is known after the next start, and cleared away with what nobody named', async () => {
  const data = join(await tempFolder(), 'hub');
  await (await start(data)).close();
  const bytes = new TextEncoder().encode('weights');
  const digest = digestOf(bytes);
  const file = join(data, 'artifacts', digest.slice(0, 2), digest);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, bytes);
  await writeFile(join(dirname(file), 'notes.txt'), 'not an artifact');
  await (await start(data)).close();
  expect(await readFile(file)).toEqual(Buffer.from(bytes));
  const db = await openDatabase(join(data, 'hub.db'), recordingLogger().logger);
  onTestFinished(() => db.destroy());
  expect(await db.selectFrom('artifacts').select(['digest', 'length']).execute()).toEqual([{ digest, length: bytes.byteLength }]);
  const store = new VersionStore(db);
  expect(await store.forgetOrphans(Date.now() - days(7)), 'its publisher may still come back to it').toEqual([]);
  expect(await store.forgetOrphans(Date.now() + days(1))).toEqual([digest]);
});

test('refused enrolments from many addresses fill no audit log, and what was done is always there', async () => {
  const data = join(await tempFolder(), 'hub');
  const hub = await start(data);
  const admin = new HubClient({ url: hub.state.httpUrl, token: (await readFile(join(data, 'admin.token'), 'utf8')).trim() });
  const guess = `skt_${randomBytes(32).toString('base64url')}`;
  const statusFrom = (localAddress: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const options = { method: 'POST', localAddress, headers: { 'content-type': 'application/json' } };
      const request = httpRequest(`${hub.state.httpUrl}/api/v1/enroll`, options, (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode));
      });
      request.on('error', reject).end(JSON.stringify(enrolRequest({ token: guess })));
    });
  for (let i = 1; i <= 60; i++) {
    expect(await statusFrom(`127.0.1.${i}`)).toBeGreaterThanOrEqual(400);
    if (i % 20 === 0) await admin.post(createdEnrolmentTokenSchema, '/api/v1/enrolment-tokens', { name: `batch ${i}` });
  }
  await hub.close();
  const db = await openDatabase(join(data, 'hub.db'), recordingLogger().logger);
  onTestFinished(() => db.destroy());
  const records = await db.selectFrom('audit').selectAll().orderBy('id').execute();
  const refused = records.filter((record) => record.actor === 'anonymous');
  expect(refused.slice(0, -1).map((record) => record.source)).toEqual(Array.from({ length: 25 }, (_, i) => `127.0.1.${i + 1}`));
  expect(refused.at(-1)).toMatchObject({ action: 'enroll', target: 'devices', source: '35 addresses' });
  expect(JSON.parse(refused.at(-1)?.detail ?? '')).toMatchObject({ refusals: 35, addresses: 35 });
  expect(records.filter((record) => record.outcome === 'ok' && record.target.startsWith('enrolment-tokens/'))).toHaveLength(3);
});

test('a hub that answers is ready, and says so', async () => {
  const hub = await start(join(await tempFolder(), 'hub'));
  const ready = await fetch(`${hub.state.httpUrl}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([
    200,
    {
      ready: true,
      checks: [
        { name: 'database', ok: true },
        { name: 'disk', ok: true },
        { name: 'broker', ok: true },
      ],
    },
  ]);
});

test('a second hub on the same data is refused and leaves the first alone', async () => {
  const data = join(await tempFolder(), 'hub');
  const hub = await start(data);
  await expect(start(data)).rejects.toEqual(coded('HUB_DATA_IN_USE'));
  expect((await fetch(`${hub.state.httpUrl}/healthz`)).status).toBe(200);
});

test('a port that is taken is named, and the failed start leaves nothing open', async () => {
  const data = join(await tempFolder(), 'hub');
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? String(address.port) : '';
  await expect(start(data, { flags: { httpPort: port } })).rejects.toEqual(coded('HUB_LISTEN_FAILED', `${port}: listen EADDRINUSE`));
  await expect(start(data)).resolves.toBeDefined();
});

test('keys sealed with a passphrase open with it only', async () => {
  const data = join(await tempFolder(), 'hub');
  const first = await start(data, { env: { SKERRY_HUB_PASSPHRASE: 'correct horse' } });
  await first.close();
  await expect(start(data, { env: { SKERRY_HUB_PASSPHRASE: 'battery staple' } })).rejects.toEqual(coded('HUB_KEYS_LOCKED'));
  await expect(start(data)).rejects.toEqual(coded('HUB_KEYS_LOCKED'));
  const file = join(data, 'passphrase');
  await writeFile(file, 'correct horse\nignored\n');
  await expect(start(data, { flags: { passphraseFile: file } })).resolves.toBeDefined();
});

test('a key file the settings name is not made up', async () => {
  const folder = await tempFolder();
  await mkdir(join(folder, 'hub'));
  await expect(start(join(folder, 'hub'), { flags: { keySecretFile: join(folder, 'absent') } })).rejects.toEqual(coded('HUB_KEYS_LOCKED'));
});

interface Operation {
  readonly operationId: string;
  readonly 'x-capability': Parameters<typeof roleMay>[1] | 'public';
}

test('every route of the whole hub lets in the roles of its capability and no other', async () => {
  const data = join(await tempFolder(), 'hub');
  const hub = await start(data);
  const admin = new HubClient({ url: hub.state.httpUrl, token: (await readFile(join(data, 'admin.token'), 'utf8')).trim() });
  const tokens = new Map<Role, string>();
  for (const role of ROLES) tokens.set(role, (await admin.post(createdTokenSchema, '/api/v1/tokens', { name: role, role })).token);
  const document = JSON.parse(Buffer.from(await admin.bytes('/api/v1/openapi.json')).toString()) as {
    paths: Record<string, Record<string, Operation>>;
  };
  let checked = 0;
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, { 'x-capability': access }] of Object.entries(operations)) {
      for (const role of ROLES) {
        // Values that no schema accepts: what is let in is refused by its input and changes nothing.
        const response = await fetch(`${hub.state.httpUrl}${path.replaceAll(/\{\w+\}/g, '%20')}?unknown=1`, {
          method: method.toUpperCase(),
          headers: { authorization: `Bearer ${tokens.get(role)}` },
        });
        await response.arrayBuffer();
        const expected = access === 'public' || roleMay(role, access) ? 'in' : 403;
        expect([method, path, role, response.status === 403 ? 403 : 'in']).toEqual([method, path, role, expected]);
        checked += 1;
      }
    }
  }
  expect(checked).toBeGreaterThan(100);
});

/** A key and a certificate of its own, in files below `folder`. */
function selfSigned(folder: string): { readonly certificate: string; readonly key: string } {
  const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-days', '1', ...subject, '-keyout', key, '-out', certificate], {
    stdio: 'ignore',
  });
  return { certificate, key };
}

test('with a certificate, it does not wait at its end for connections that never spoke TLS', async () => {
  const folder = await tempFolder();
  const { certificate, key } = selfSigned(folder);
  const hub = await start(join(folder, 'hub'), { flags: { tlsCertFile: certificate, tlsKeyFile: key } });
  const closed = [hub.state.httpUrl, hub.state.mqttUrl].map(async (url) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return { cut: new Promise<void>((resolve) => socket.on('error', () => undefined).once('close', () => resolve())) };
  });
  const connections = await Promise.all(closed);
  // Left alone, a handshake is given up after two minutes.
  const began = performance.now();
  await hub.close();
  expect(performance.now() - began).toBeLessThan(60_000);
  await Promise.all(connections.map(({ cut }) => cut));
});

test('with a certificate, API and broker speak TLS and devices are told so', async () => {
  const folder = await tempFolder();
  const { certificate, key } = selfSigned(folder);
  const hub = await start(join(folder, 'hub'), { flags: { tlsCertFile: certificate, tlsKeyFile: key } });
  expect([hub.state.httpUrl, hub.state.mqttUrl]).toEqual([expect.stringMatching(/^https:/), expect.stringMatching(/^mqtts:/)]);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const url = `${hub.state.httpUrl}/readyz`;
    readFile(certificate).then(
      (ca) => httpsGet(url, { ca }, (response) => resolve(response.resume().statusCode)).on('error', reject),
      reject,
    );
  });
  expect(status).toBe(200);
});
