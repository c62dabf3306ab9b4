import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseAccessFile } from '#agent/serve/access/access-file.js';
import { Authenticator } from '#agent/serve/access/authenticator.js';
import { type KeySource, openKeySource } from '#agent/serve/access/tokens/key-source.js';
import type { Caller } from '#agent/serve/requests.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { recordingLogger } from '../../kit/recorder.js';
import { tempFolder } from '../../kit/temp-folder.js';
import { until } from '../../kit/until.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

interface Signer {
  readonly alg: string;
  readonly hash: string | null;
  readonly pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  readonly padding?: { readonly padding: number; readonly saltLength: number };
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const SIGNERS: readonly Signer[] = [
  { alg: 'RS256', hash: 'sha256', pair: rsa },
  { alg: 'PS384', hash: 'sha384', pair: rsa, padding: { padding: 6, saltLength: 48 } },
  { alg: 'ES256', hash: 'sha256', pair: generateKeyPairSync('ec', { namedCurve: 'P-256' }) },
  { alg: 'ES512', hash: 'sha512', pair: generateKeyPairSync('ec', { namedCurve: 'P-521' }) },
  { alg: 'EdDSA', hash: null, pair: generateKeyPairSync('ed25519') },
];
const [RS256, , ES256, , EDDSA] = SIGNERS;
const CLAIMS = {
  iss: 'https://idp',
  aud: ['skerry', 'others'],
  sub: 'camera-7',
  exp: Date.UTC(2026, 0, 2) / 1000,
  scope: 'caller unknown',
};

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function tokenOf({ alg, hash, pair, padding }: Signer, claims: object = {}, header: object = {}): string {
  const signed = `${part({ alg, kid: alg, ...header })}.${part({ ...CLAIMS, ...claims })}`;
  const signature = sign(hash, Buffer.from(signed), { key: pair.privateKey, dsaEncoding: 'ieee-p1363', ...padding });
  return `${signed}.${signature.toString('base64url')}`;
}

const jwkOf = ({ alg, pair }: Signer, kid = alg) => ({ ...pair.publicKey.export({ format: 'jwk' }), kid, use: 'sig' });
const bearing = (token: string, address = '10.0.0.1'): Caller => ({
  transport: 'tcp',
  address,
  header: (name) => (name === 'authorization' ? `Bearer ${token}` : undefined),
});

const FILE = `
schema: skerry.access/1
roles: { caller: { allow: [{ calls: [inference] }] } }
tokens: { issuer: https://idp, audience: skerry, jwks: keys.json, rolesClaim: scope }
`;

async function authenticator(keys: KeySource, clock = new VirtualClock(), logger = silentLogger) {
  const rules = await parseAccessFile(FILE, '/access.yaml');
  return new Authenticator({ rules, keys, clock, logger });
}

async function fromFile(keys: readonly object[]): Promise<KeySource> {
  const folder = await tempFolder();
  await writeFile(join(folder, 'keys.json'), JSON.stringify({ keys }));
  const source = await openKeySource('keys.json', join(folder, 'access.yaml'), {
    clock: new VirtualClock(),
    logger: silentLogger,
    onKeys: () => undefined,
  });
  onTestFinished(() => source.close());
  return source;
}

describe('a token', () => {
  test.each(SIGNERS)('signed with $alg is accepted, and its roles are those that the file defines', async (signer) => {
    const source = await fromFile(SIGNERS.map((one) => jwkOf(one)));
    const identity = await (await authenticator(source)).identify(bearing(tokenOf(signer, {}, { kid: undefined })));
    expect(identity).toMatchObject({ name: 'camera-7', anonymous: false, client: 'token camera-7' });
    expect(identity.grants).toMatchObject([{ models: ['*'] }]);
  });

  test('is refused for whatever is wrong with it', async () => {
    const source = await fromFile([jwkOf(RS256!), jwkOf(ES256!), { kty: 'oct', k: 'c2VjcmV0', kid: 'oct' }]);
    const tried = await authenticator(source);
    const good = tokenOf(RS256!);
    const [head = '', body = '', signature = ''] = good.split('.');
    // The public key as a shared secret: what a careless verifier accepts.
    const confused = `${part({ alg: 'HS256', kid: 'RS256' })}.${body}`;
    const hmac = createHmac('sha256', rsa.publicKey.export({ format: 'pem', type: 'spki' }))
      .update(confused)
      .digest('base64url');
    const bad: Readonly<Record<string, string>> = {
      unsigned: `${part({ alg: 'none' })}.${body}.`,
      'shared secret': `${confused}.${hmac}`,
      'other body': `${head}.${part({ ...CLAIMS, sub: 'admin' })}.${signature}`,
      'other key': tokenOf({ ...RS256!, pair: generateKeyPairSync('rsa', { modulusLength: 2048 }) }),
      'unknown key': tokenOf(EDDSA!),
      'key of another algorithm': tokenOf(RS256!, {}, { kid: 'ES256' }),
      expired: tokenOf(RS256!, { exp: Date.UTC(2025, 11, 31) / 1000 }),
      'without an end': tokenOf(RS256!, { exp: undefined }),
      'not valid yet': tokenOf(RS256!, { nbf: Date.UTC(2026, 0, 1, 1) / 1000 }),
      'of another issuer': tokenOf(RS256!, { iss: 'https://idp/' }),
      'for somebody else': tokenOf(RS256!, { aud: 'skerryx' }),
      'of nobody': tokenOf(RS256!, { sub: '' }),
      critical: tokenOf(RS256!, {}, { crit: ['exp'] }),
      encrypted: `${good}.a.b`,
      long: tokenOf(RS256!, { filler: 'x'.repeat(9_000) }),
      text: 'hello',
    };
    for (const [index, [why, token]] of Object.entries(bad).entries()) {
      const identity = await tried.identify(bearing(token, `10.0.1.${index}`));
      expect([why, identity.problem?.code, identity.grants]).toEqual([why, 'SERVE_UNAUTHENTICATED', []]);
    }
    expect((await tried.identify(bearing(good))).name).toBe('camera-7');
  });

  test('is verified once, until it ends or its keys change', async () => {
    const clock = new VirtualClock();
    const source = await fromFile([jwkOf(ES256!)]);
    let asked = 0;
    const keys = () => {
      asked += 1;
      return source.keys();
    };
    const tried = await authenticator({ keys, renew: () => source.renew(), close: () => source.close() }, clock);
    const token = tokenOf(ES256!, { exp: clock.now() / 1000 + 60 });
    for (let i = 0; i < 5; i++) expect((await tried.identify(bearing(token))).name).toBe('camera-7');
    const once = asked;
    tried.forgetTokens();
    expect((await tried.identify(bearing(token))).name).toBe('camera-7');
    expect(asked).toBe(once * 2);
    await clock.advance(120_001);
    expect((await tried.identify(bearing(token))).problem?.message).toContain('has expired');
  });

  test('wrong ones cost an address its right to try, and the log a few lines', async () => {
    const { logger, lines } = recordingLogger();
    const clock = new VirtualClock();
    const tried = await authenticator(await fromFile([jwkOf(ES256!)]), clock, logger);
    for (let i = 0; i < 10; i++) expect((await tried.identify(bearing('wrong'))).problem?.code).toBe('SERVE_UNAUTHENTICATED');
    for (let i = 0; i < 100; i++) await tried.identify(bearing('wrong'));
    const refused = await tried.identify(bearing(tokenOf(ES256!)));
    expect(refused.problem).toMatchObject({ code: 'SERVE_RATE_LIMIT', details: { retryAfter: 6 } });
    expect(lines.filter(({ message }) => message === 'credentials refused')).toHaveLength(10);
    expect((await tried.identify(bearing(tokenOf(ES256!), '10.0.0.2'))).name).toBe('camera-7');
    await clock.advance(6_001);
    expect((await tried.identify(bearing(tokenOf(ES256!)))).name).toBe('camera-7');
  });
});

describe('keys from a URL', () => {
  async function issuer(answer: () => { readonly status: number; readonly body: string }) {
    let asked = 0;
    const server = createServer((_request, response) => {
      asked += 1;
      const { status, body } = answer();
      response.writeHead(status).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/keys`;
    return { url, asked: () => asked };
  }

  test('are fetched again for a token that names an unknown key, though not for each; old ones are not believed for ever', async () => {
    let keys = [jwkOf(RS256!)];
    let status = 200;
    const clock = new VirtualClock();
    const { url, asked } = await issuer(() => ({ status, body: JSON.stringify({ keys }) }));
    const source = await openKeySource(url, '/access.yaml', { clock, logger: silentLogger, onKeys: () => undefined });
    onTestFinished(() => source.close());
    const tried = await authenticator(source, clock);
    expect((await tried.identify(bearing(tokenOf(RS256!)))).name).toBe('camera-7');
    keys = [jwkOf(ES256!)];
    expect((await tried.identify(bearing(tokenOf(ES256!)))).problem?.code).toBe('SERVE_UNAUTHENTICATED');
    expect(asked()).toBe(1);
    await clock.advance(30_000);
    expect((await tried.identify(bearing(tokenOf(ES256!)))).name).toBe('camera-7');
    expect(asked()).toBe(2);
    status = 500;
    await clock.advance(23 * 3_600_000);
    expect(source.keys()).toHaveLength(1);
    await clock.advance(2 * 3_600_000);
    expect(() => source.keys()).toThrow(expect.objectContaining({ code: 'SERVE_ACCESS_UNAVAILABLE' }));
    const late = await tried.identify(bearing(tokenOf(ES256!, { exp: clock.now() / 1000 + 60 })));
    expect(late.problem?.code).toBe('SERVE_ACCESS_UNAVAILABLE');
  });

  test('that are no key set, or too large, are refused', async () => {
    for (const body of ['{}', 'x', JSON.stringify({ keys: [], filler: 'x'.repeat(300_000) })]) {
      const { logger, lines } = recordingLogger();
      const { url } = await issuer(() => ({ status: 200, body }));
      const source = await openKeySource(url, '/access.yaml', { clock: new VirtualClock(), logger, onKeys: () => undefined });
      onTestFinished(() => source.close());
      await until('the fetch failed', () => lines.length > 0);
      expect(() => source.keys()).toThrow(expect.objectContaining({ code: 'SERVE_ACCESS_UNAVAILABLE' }));
    }
  });

  test('come over TLS, but for this machine', async () => {
    const deps = { clock: new VirtualClock(), logger: silentLogger, onKeys: () => undefined };
    for (const url of ['http://idp.example/keys', 'ftp://idp/keys', 'https://']) {
      await expect(openKeySource(url, '/access.yaml', deps)).rejects.toMatchObject({ code: 'SERVE_ACCESS_FILE' });
    }
  });
});

test('the access file of the documentation is valid', async () => {
  const page = await readFile(new URL('../../../docs/SECURITY.md', import.meta.url), 'utf8');
  const [, text = ''] = /<!-- access-file -->\n```yaml\n(.*?)```/s.exec(page) ?? [];
  const rules = await parseAccessFile(text, 'docs/SECURITY.md');
  expect([rules.keys.size, rules.tokens?.issuer, rules.anonymous.grants.length]).toEqual([1, 'https://idp.example', 1]);
});
