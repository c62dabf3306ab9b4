import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { ROLES, roleMay } from '#hub/kernel/roles.js';
import { LIVE_PROTOCOL, LIVE_TOKEN_PROTOCOL, LIVE_UNAUTHENTICATED } from '#hub/api/live-path.js';
import { type ApiHub, startApiHub } from '../../kit/api-hub.js';
import { until } from '../../kit/until.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

let hub: ApiHub;
beforeAll(async () => {
  hub = await startApiHub();
});
afterAll(() => hub.close());

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function json(response: Response): Promise<Record<string, unknown>> {
  return (await response.json()) as Record<string, unknown>;
}

async function audit(): Promise<readonly Record<string, unknown>[]> {
  const { records } = (await json(await hub.fetch('admin', '/api/v1/audit'))) as { records: Record<string, unknown>[] };
  return records;
}

describe('access', () => {
  test('every route lets in the roles of its capability and no other', async () => {
    expect(hub.routes.length).toBeGreaterThan(15);
    for (const route of hub.routes) {
      const path = route.url
        .replace(':model', 'nothing')
        .replace(':version', '1')
        .replace(':sha256', '0'.repeat(64))
        .replace(':file', 'root.json')
        .replace(':token', '0'.repeat(12));
      for (const role of [undefined, ...ROLES]) {
        const headers = route.method === 'GET' || route.method === 'HEAD' ? {} : { 'content-type': 'application/json' };
        const response = await hub.fetch(role, path, {
          method: route.method,
          headers,
          ...(route.changes && route.method !== 'DELETE' ? { body: '{}' } : {}),
        });
        await response.arrayBuffer();
        const expected = route.access === 'public' ? 'in' : role === undefined ? 401 : roleMay(role, route.access) ? 'in' : 403;
        const actual = response.status === 401 || response.status === 403 ? response.status : 'in';
        expect([route.method, route.url, role, actual]).toEqual([route.method, route.url, role, expected]);
      }
    }
  });

  test('a refusal for lack of rights is in the audit log', async () => {
    const response = await hub.fetch('viewer', '/api/v1/tokens', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'mine', role: 'admin' }),
    });
    expect(response.status).toBe(403);
    expect(await json(response)).toMatchObject({ code: 'API_FORBIDDEN', fault: 'caller', details: { roles: ['admin'] } });
    expect((await audit())[0]).toMatchObject({ actor: 'a viewer', action: 'token:write', outcome: 'refused', code: 'API_FORBIDDEN' });
  });

  test('a token is made, works, is listed without its secret, and ends', async () => {
    const made = await hub.fetch('admin', '/api/v1/tokens', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-request-id': 'request-4711' },
      body: JSON.stringify({ name: 'ci', role: 'publisher', expiresInSeconds: 60 }),
    });
    expect(made.status).toBe(201);
    expect(made.headers.get('x-request-id')).toBe('request-4711');
    const { id, token } = (await json(made)) as { id: string; token: string };
    const use = (): Promise<Response> => fetch(`${hub.url}/api/v1/whoami`, { headers: { authorization: `Bearer ${token}` } });
    expect(await json(await use())).toEqual({ id, name: 'ci', role: 'publisher' });
    expect(await (await hub.fetch('admin', '/api/v1/tokens')).text()).not.toContain(token);
    expect((await audit())[0]).toMatchObject({
      action: 'token:write',
      target: `tokens/${id}`,
      outcome: 'ok',
      requestId: 'request-4711',
      source: '127.0.0.1',
    });
    expect((await hub.fetch('admin', `/api/v1/tokens/${id}`, { method: 'DELETE' })).status).toBe(200);
    expect((await use()).status).toBe(401);
  });

  test('an expired token is refused', async () => {
    const { token } = await hub.tokens.create({ name: 'old', role: 'viewer', createdBy: 'hub', expiresAt: Date.now() - 1 });
    expect(await hub.tokens.verify(token)).toBeUndefined();
  });

  test('secrets are stored as hashes only', async () => {
    const rows = await hub.db.selectFrom('api_tokens').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(hub.secret.admin);
  });
});

describe('errors', () => {
  test('a name as long as names may be is looked up like any other', async () => {
    const response = await hub.fetch('admin', `/api/v1/models/${'m'.repeat(128)}`);
    expect([response.status, await json(response)]).toEqual([404, expect.objectContaining({ code: 'MODEL_UNKNOWN' })]);
  });

  test.each([
    ['an unknown path', 'GET', '/api/v1/nothing', {}, 404, 'API_NOT_FOUND'],
    ['an unknown model', 'GET', '/api/v1/models/nothing', {}, 404, 'MODEL_UNKNOWN'],
    ['a bad name', 'GET', '/api/v1/models/Not%20A%20Name', {}, 400, 'INPUT_SCHEMA'],
    ['a bad query', 'GET', '/api/v1/audit?limit=0', {}, 400, 'INPUT_SCHEMA'],
    ['a query nobody knows', 'GET', '/api/v1/audit?colour=red', {}, 400, 'INPUT_SCHEMA'],
    [
      'a body that is no JSON',
      'POST',
      '/api/v1/tokens',
      { body: '{"name":', headers: { 'content-type': 'application/json' } },
      400,
      'API_BAD_REQUEST',
    ],
    ['a body of another type', 'POST', '/api/v1/tokens', { body: 'x', headers: { 'content-type': 'text/plain' } }, 400, 'API_BAD_REQUEST'],
    [
      'a body that pollutes',
      'POST',
      '/api/v1/tokens',
      { body: '{"__proto__":{"a":1}}', headers: { 'content-type': 'application/json' } },
      400,
      'API_BAD_REQUEST',
    ],
    ['a path that decodes to nothing', 'GET', '/api/v1/models/%zz', {}, 400, 'API_BAD_REQUEST'],
    ['a name longer than any', 'GET', `/api/v1/models/${'m'.repeat(600)}`, {}, 400, 'API_BAD_REQUEST'],
    ['no metadata yet', 'GET', '/api/v1/trust/metadata/root.json', {}, 404, 'API_NOT_FOUND'],
  ] as const)('%s', async (_what, method, path, init, status, code) => {
    const response = await hub.fetch('admin', path, { method, ...init });
    expect([response.status, await json(response)]).toEqual([
      status,
      expect.objectContaining({ code, action: expect.any(String) as string }),
    ]);
    expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.each([
    ['no HTTP', 'GARBAGE\r\n\r\n', 400],
    ['a length that is none', 'POST /api/v1/tokens HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n', 400],
    ['headers without end', `GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(40_000)}`, 431],
  ])('what the parser refuses is answered as every error: %s', async (_what, bytes, status) => {
    const { port } = new URL(hub.url);
    const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined);
    socket.write(bytes);
    const answer = await textOf(socket);
    expect(answer).toContain(`HTTP/1.1 ${status} `);
    expect(JSON.parse(answer.slice(answer.indexOf('{')))).toMatchObject({ code: 'API_BAD_REQUEST', action: expect.any(String) as string });
  });

  test('a body above the limit is refused with its code', async () => {
    const body = JSON.stringify({ name: 'x'.repeat(17 * 1024 * 1024), role: 'viewer' });
    const response = await hub.fetch('admin', '/api/v1/tokens', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    expect([response.status, (await json(response))['code']]).toEqual([413, 'INPUT_TOO_LARGE']);
  });
});

describe('artifacts', () => {
  const put = (digest: string, body: Uint8Array<ArrayBuffer>): Promise<Response> =>
    hub.fetch('publisher', `/api/v1/artifacts/${digest}`, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body });
  const leftovers = (): Promise<string[]> => readdir(join(hub.folder, 'artifacts', 'incoming'));

  test('an upload is streamed, stored under its digest, and found', async () => {
    const bytes = new Uint8Array(randomBytes(20 * 1024 * 1024));
    const digest = digestOf(bytes);
    expect((await hub.fetch('publisher', `/api/v1/artifacts/${digest}`, { method: 'HEAD' })).status).toBe(404);
    const response = await put(digest, bytes);
    expect([response.status, await json(response)]).toEqual([201, { digest, length: bytes.byteLength }]);
    const head = await hub.fetch('viewer', `/api/v1/artifacts/${digest}`, { method: 'HEAD' });
    expect([head.status, head.headers.get('x-artifact-length')]).toEqual([200, String(bytes.byteLength)]);
    expect((await put(digest, bytes)).status).toBe(201);
    expect(await leftovers()).toEqual([]);
  });

  test('an upload of another content is refused and leaves nothing', async () => {
    const digest = digestOf(Buffer.from('announced'));
    const response = await put(digest, new Uint8Array(Buffer.from('received')));
    expect([response.status, (await json(response))['code']]).toEqual([422, 'ARTIFACT_DIGEST_MISMATCH']);
    expect((await hub.fetch('publisher', `/api/v1/artifacts/${digest}`, { method: 'HEAD' })).status).toBe(404);
    expect(await leftovers()).toEqual([]);
    expect((await audit())[0]).toMatchObject({ action: 'model:publish', target: `artifacts/${digest}`, outcome: 'refused' });
  });

  test('an upload that breaks off leaves nothing', async () => {
    const bytes = randomBytes(1024 * 1024);
    const digest = digestOf(bytes);
    const headers = {
      authorization: `Bearer ${hub.secret.publisher}`,
      'content-type': 'application/octet-stream',
      'content-length': '1048576',
    };
    const upload = httpRequest(`${hub.url}/api/v1/artifacts/${digest}`, { method: 'PUT', headers });
    upload.on('error', () => undefined);
    upload.write(bytes.subarray(0, 500_000));
    await until('the upload to begin', async () => (await leftovers()).length === 1);
    upload.destroy();
    await until('the rest to be cleared away', async () => (await leftovers()).length === 0);
    expect((await hub.fetch('publisher', `/api/v1/artifacts/${digest}`, { method: 'HEAD' })).status).toBe(404);
    await until('the audit record', async () => (await audit()).find((record) => record['code'] === 'ARTIFACT_TRUNCATED'));
  });
});

describe('the OpenAPI document', () => {
  interface Operation {
    readonly operationId: string;
    readonly summary: string;
    readonly security: readonly unknown[];
    readonly responses: Readonly<Record<string, { description?: string }>>;
  }

  test('is valid in itself and lists every route', async () => {
    const document = (await json(await hub.fetch(undefined, '/api/v1/openapi.json'))) as {
      openapi: string;
      paths: Record<string, Record<string, Operation>>;
    };
    expect(document.openapi).toBe('3.1.0');
    const listed = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => ({ key: `${method.toUpperCase()} ${path}`, operation })),
    );
    const declared = hub.routes.map((route) => `${route.method} ${route.url.replaceAll(/:(\w+)/g, '{$1}')}`);
    expect(listed.map((entry) => entry.key).sort()).toEqual(declared.toSorted());
    expect(new Set(listed.map((entry) => entry.operation.operationId)).size).toBe(listed.length);
    for (const { key, operation } of listed) {
      expect([key, operation.summary.length > 0]).toEqual([key, true]);
      for (const [status, answer] of Object.entries(operation.responses)) {
        expect([key, status, typeof answer.description]).toEqual([key, status, 'string']);
      }
      expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['4XX', '5XX']));
    }
    const text = JSON.stringify(document);
    for (const [, pointer] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const found = (pointer ?? '').split('/').reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], document);
      expect([pointer, typeof found]).toEqual([pointer, 'object']);
    }
  });
});

describe('the live feed', () => {
  const at = '2026-01-01T00:00:00.000Z';
  const listen = (protocols: string[], path = '/api/v1/live'): WebSocket =>
    new WebSocket(`${hub.url.replace('http', 'ws')}${path}`, protocols);

  test('carries what happens, of the kinds asked for, to who has a token', async () => {
    const socket = listen([LIVE_PROTOCOL, `${LIVE_TOKEN_PROTOCOL}${hub.secret.viewer}`], '/api/v1/live?kinds=trust.changed');
    const heard: unknown[] = [];
    socket.on('message', (data: Buffer) => heard.push(JSON.parse(data.toString('utf8'))));
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    hub.bus.publish({ kind: 'deployment.changed', at, deployment: '1' });
    hub.bus.publish({ kind: 'trust.changed', at, files: ['1.root.json'] });
    await until('the event', () => heard.length > 0);
    expect(heard).toEqual([{ kind: 'trust.changed', at, files: ['1.root.json'] }]);
    socket.close();
  });

  const opened = async (of: ApiHub, secret: string): Promise<{ socket: WebSocket; closed: Promise<number> }> => {
    const socket = new WebSocket(`${of.url.replace('http', 'ws')}/api/v1/live`, [LIVE_PROTOCOL, `${LIVE_TOKEN_PROTOCOL}${secret}`]);
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    await once(socket, 'open');
    return { socket, closed };
  };

  test('ends at once for a token that is revoked, and for nobody else', async () => {
    const { id, token } = await hub.tokens.create({ name: 'ex-colleague', role: 'viewer', createdBy: 'hub' });
    const theirs = await opened(hub, token);
    const ours = await opened(hub, hub.secret.viewer);
    const heard: unknown[] = [];
    theirs.socket.on('message', (data: Buffer) => heard.push(data));
    expect((await hub.fetch('admin', `/api/v1/tokens/${id}`, { method: 'DELETE' })).status).toBe(200);
    hub.bus.publish({ kind: 'deployment.changed', at, deployment: '2' });
    expect(await theirs.closed).toBe(LIVE_UNAUTHENTICATED);
    expect(heard).toEqual([]);
    expect(ours.socket.readyState).toBe(WebSocket.OPEN);
    ours.socket.close();
  });

  test('ends when the token expires, and for one that ended behind its back', async () => {
    const clock = new VirtualClock(Date.now());
    const other = await startApiHub('main', () => [], clock);
    try {
      const short = await other.tokens.create({ name: 'short', role: 'viewer', createdBy: 'hub', expiresAt: clock.now() + 12_000 });
      const shortly = await opened(other, short.token);
      const long = await opened(other, other.secret.viewer);
      await clock.advance(11_999);
      expect(shortly.socket.readyState).toBe(WebSocket.OPEN);
      await clock.advance(1);
      expect(await shortly.closed).toBe(LIVE_UNAUTHENTICATED);
      // Revoked by another process: nobody told this one.
      await other.db.updateTable('api_tokens').set({ revoked_at: clock.now() }).where('role', '=', 'viewer').execute();
      await clock.advance(30_000);
      expect(await long.closed).toBe(LIVE_UNAUTHENTICATED);
    } finally {
      await other.close();
    }
  });

  test.each([
    ['no token', [LIVE_PROTOCOL], '/api/v1/live', 401],
    ['another path', [LIVE_PROTOCOL], '/api/v1/other', 404],
  ] as const)('%s is turned away', async (_what, protocols, path, status) => {
    const socket = listen([...protocols], path);
    const answer = await new Promise<number | undefined>((resolve) => {
      socket.once('unexpected-response', (_request, response) => resolve(response.statusCode));
      socket.on('error', () => undefined);
    });
    expect(answer).toBe(status);
  });
});

describe('the hub itself', () => {
  test('says how it is', async () => {
    expect(await json(await hub.fetch(undefined, '/healthz'))).toEqual({ status: 'ok', version: '0.0.0' });
    expect(await json(await hub.fetch(undefined, '/readyz'))).toEqual({ ready: true, checks: [{ name: 'database', ok: true }] });
    const metrics = await hub.fetch('viewer', '/metrics');
    expect(metrics.headers.get('content-type')).toContain('text/plain');
    expect(await metrics.text()).toMatch(
      /^skerry_hub_http_request_duration_seconds_count\{method="GET",route="\/healthz",status="200"\} \d+$/m,
    );
  });

  test('many failed attempts from one address are slowed down, and the address is told for how long', async () => {
    const attempt = (): Promise<Response> => fetch(`${hub.url}/api/v1/models`, { headers: { authorization: 'Bearer skerry_wrong' } });
    let response = await attempt();
    for (let count = 0; count < 40 && response.status === 401; count += 1) response = await attempt();
    expect([response.status, (await json(response))['code']]).toEqual([429, 'API_RATE_LIMITED']);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await hub.fetch('viewer', '/api/v1/models')).status, 'a valid token from the same address').toBe(200);
    const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/api/v1/live`, [
      LIVE_PROTOCOL,
      `${LIVE_TOKEN_PROTOCOL}${hub.secret.viewer}`,
    ]);
    await once(socket, 'open');
    socket.close();
  });

  test('behind a trusted proxy the audit log and the limit of failures name the client, not the proxy', async () => {
    const headers = { 'x-forwarded-for': '203.0.113.7', authorization: 'Bearer skerry_wrong' };
    let response = await fetch(`${hub.url}/api/v1/models`, { headers });
    for (let count = 0; count < 40 && response.status === 401; count += 1) response = await fetch(`${hub.url}/api/v1/models`, { headers });
    expect((await json(response))['message']).toContain('203.0.113.7');
    const other = await fetch(`${hub.url}/api/v1/models`, { headers: { ...headers, 'x-forwarded-for': '203.0.113.8' } });
    expect(other.status, 'another client behind the same proxy').toBe(401);
    await hub.fetch('viewer', `/api/v1/tokens/${'0'.repeat(12)}`, { method: 'DELETE', headers: { 'x-forwarded-for': '203.0.113.9' } });
    expect((await audit())[0]).toMatchObject({ source: '203.0.113.9', outcome: 'refused' });
  });
});
