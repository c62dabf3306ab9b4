import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import os from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import { Access } from '#agent/serve/access/access.js';
import { AccessSource } from '#agent/serve/access/access-source.js';
import { openDialects } from '#agent/serve/dialects.js';
import { guardedModels, guardedPredict, guardedRepository } from '#agent/serve/access/model-guard.js';
import { DEFAULT_SERVE_SETTINGS } from '#agent/serve/config.js';
import { fleetRepository } from '#agent/serve/repository.js';
import { createInferenceServer, httpApis, type InferenceServer } from '#agent/serve/server.js';
import { GRPC_INFERENCE_SERVICE } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { GrpcTestClient } from '../../kit/grpc-client.js';
import { affineModel } from '../../kit/onnx-models.js';
import { recordingLogger } from '../../kit/recorder.js';
import { fp32, memoryKeyValue, modelName, versionNumber, writeServable } from '../../kit/servables.js';
import { until } from '../../kit/until.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const dialects = await openDialects();
/** Typed, unlike those of vitest. */
const containing = (text: string): unknown => expect.stringContaining(text);
const coded = (code: string): unknown => expect.objectContaining({ code });
const digest = (key: string): string => `sha256:${createHash('sha256').update(key).digest('hex')}`;
const key = (name: string, roles: readonly string[], more: object = {}): object => ({
  name,
  digest: digest(`key-${name}`),
  roles,
  ...more,
});
const FILE = {
  schema: 'skerry.access/1',
  roles: {
    probe: { allow: [{ calls: ['health'] }] },
    caller: { allow: [{ calls: ['inference', 'metadata', 'feedback'], models: ['affi*'] }] },
    stranger: { allow: [{ calls: ['*'], models: ['other-*'] }] },
    admin: { allow: [{ calls: ['*'] }] },
    slow: { allow: [{ calls: ['inference', 'metadata'] }], rate: { perSecond: 0.5, burst: 2 } },
  },
  anonymous: ['probe'],
  keys: [
    key('nobody', []),
    key('camera', ['caller']),
    key('stranger', ['stranger']),
    key('admin', ['admin']),
    key('slow', ['slow']),
    key('old', ['admin'], { expires: '2025-12-31T00:00:00Z' }),
  ],
};

const { logger, lines } = recordingLogger();
const clock = new VirtualClock();
const requests = new RequestCounts();
let folder = '';
let file = '';
let source: AccessSource;
let access: Access;
let runtime: InferenceRuntime;
let server: InferenceServer;
let base = '';
const started: InferenceServer[] = [];

async function serve(given: Access | undefined, more: object = {}): Promise<InferenceServer> {
  const made = await createInferenceServer({
    dataPlane: runtime,
    feedback: new MetricsRecorder(),
    requests,
    metricsText: () => 'metrics',
    status: () => ({}),
    agentVersion: '0.1.0',
    logger,
    ...(given === undefined ? {} : { access: given }),
    config: { tcp: { host: '127.0.0.1', port: 0 }, unix: { path: join(folder, `${started.length}.sock`) }, ...more },
  });
  await made.start();
  started.push(made);
  return made;
}

beforeAll(async () => {
  folder = await mkdtemp(join(os.tmpdir(), 'skerry-access-'));
  file = join(folder, 'access.yaml');
  await writeFile(file, JSON.stringify(FILE));
  source = await AccessSource.open(file, { clock, logger });
  access = new Access({ source, clock });
  runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder: new MetricsRecorder(), logger });
  await runtime.start();
  await runtime.load(await writeServable(affineModel()));
  runtime.route(modelName('affine'), versionNumber(1));
  server = await serve(access, { grpc: { host: '127.0.0.1', port: 0 } });
  base = `http://127.0.0.1:${server.address.tcp?.port}`;
});
afterAll(async () => {
  await Promise.all(started.map((one) => one.close()));
  await source.close();
  await runtime.close();
  await rm(folder, { recursive: true });
});

const BODY = JSON.stringify({ inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4] }] });
const as = (name: string): Record<string, string> => ({ 'x-api-key': `key-${name}` });

async function ask(path: string, headers: Record<string, string> = {}, method = 'GET', to = base) {
  const response = await fetch(`${to}${path}`, { method, headers, ...(method === 'POST' ? { body: BODY } : {}) });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

describe('every route of every API', () => {
  const parts = { dataPlane: {} as never, feedback: {} as never, metricsText: () => '', status: () => ({}), agentVersion: '', dialects };
  const routes = httpApis({ ...parts, repository: {} as never }, DEFAULT_SERVE_SETTINGS).flatMap((api) =>
    api.routes.map((route) => ({ api, route })),
  );
  const pathOf = (path: string): string => path.replaceAll('/:model', '/affine').replaceAll(/\/:\w+/g, '/1');

  test('refuses who has no right to its call, whoever says nothing of himself, and whoever lies', async () => {
    expect(routes.length).toBeGreaterThan(10);
    for (const { route } of routes) {
      const seen = [
        (await ask(pathOf(route.path), as('nobody'), route.method)).status,
        (await ask(pathOf(route.path), { authorization: 'Bearer wrong' }, route.method)).status >= 401,
        (await ask(pathOf(route.path), {}, route.method)).status === 401,
      ];
      expect([route.path, ...seen]).toEqual([route.path, 403, true, route.call !== 'health']);
    }
  });

  test('refuses who has the right to other models only, and what concerns all of them', async () => {
    for (const { route } of routes) {
      if (!route.path.includes(':model') && !['management', 'settings', 'shared-memory'].includes(route.call)) continue;
      const { status } = await ask(pathOf(route.path), as('stranger'), route.method);
      expect([route.path, status]).toEqual([route.path, 403]);
    }
  });

  test('has the form of its API for a refusal', async () => {
    const refused = await ask('/v2/models/affine/infer', {}, 'POST');
    expect(refused.headers.get('www-authenticate')).toBe('Bearer realm="skerry"');
    expect(JSON.parse(refused.text)).toMatchObject({ error: containing('need a key or token') });
  });
});

describe('every method of every API over gRPC', () => {
  let client: GrpcTestClient;
  beforeAll(async () => {
    const { GrpcTestClient: TestClient } = await import('../../kit/grpc-client.js');
    client = new TestClient(`127.0.0.1:${server.address.grpc?.port}`);
  });
  afterAll(() => client.close());
  const UNAUTHENTICATED = 16;
  const PERMISSION_DENIED = 7;

  /** Code of the status, or what a stream says of its message. */
  async function outcome(path: string, bytes: Buffer, metadata: Record<string, string>): Promise<number> {
    const { code, answers } = await client.raw(path, bytes, { metadata });
    const said = answers.map((answer) => answer.toString('latin1')).join('');
    if (said.includes('may not make')) return PERMISSION_DENIED;
    return said.includes('need a key or token') ? UNAUTHENTICATED : code;
  }

  test('refuses who has no right to its call, and who says nothing of himself', async () => {
    const services = await Promise.all(dialects.map(async ({ grpc }) => (grpc === undefined ? [] : (await grpc())({} as never).services)));
    const paths = services.flat().flatMap(({ service, methods }) => Object.keys(methods).map((name) => `/${service.name}/${name}`));
    expect(paths.length).toBeGreaterThan(15);
    paths.push('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', '/grpc.health.v1.Health/Check');
    for (const path of paths) {
      const seen = [await outcome(path, Buffer.alloc(0), as('nobody')), await outcome(path, Buffer.alloc(0), {})];
      const open = /Live$|Ready$|Check$/.test(path);
      expect([path, ...seen]).toEqual([path, PERMISSION_DENIED, open ? seen[1] : UNAUTHENTICATED]);
      expect(open && [PERMISSION_DENIED, UNAUTHENTICATED].includes(seen[1] ?? 0), path).toBe(false);
    }
  });

  test('refuses who has the right to other models only', async () => {
    const of = GRPC_INFERENCE_SERVICE.rpcs;
    const settings = { metadata: as('stranger') };
    const path = (name: string): string => `/${GRPC_INFERENCE_SERVICE.name}/${name}`;
    const answers = [
      await client.unary(path('ModelMetadata'), of.ModelMetadata, { name: 'affine' }, settings),
      await client.unary(path('ModelReady'), of.ModelReady, { name: 'affine' }, settings),
      await client.unary(path('ModelInfer'), of.ModelInfer, { model_name: 'affine' }, settings),
      await client.unary(path('ModelStatistics'), of.ModelStatistics, { name: 'affine' }, settings),
      await client.unary(path('ModelConfig'), of.ModelConfig, { name: 'affine' }, settings),
      await client.unary(path('RepositoryModelLoad'), of.RepositoryModelLoad, { model_name: 'affine' }, settings),
    ];
    expect(answers.map(({ code, skerry }) => [code, skerry])).toEqual(answers.map(() => [PERMISSION_DENIED, 'SERVE_ACCESS_DENIED']));
    expect(await client.unary(path('RepositoryIndex'), of.RepositoryIndex, {}, settings)).toMatchObject({
      code: 0,
      answers: [{ models: [] }],
    });
    expect(await client.unary(path('ModelMetadata'), of.ModelMetadata, { name: 'affine' }, { metadata: as('camera') })).toMatchObject({
      code: 0,
    });
  });
});

test('a right is by call and by model', async () => {
  await clock.advance(60_000);
  const infer = '/v2/models/affine/infer';
  expect(await ask(infer, as('camera'), 'POST')).toMatchObject({ status: 200 });
  expect(await ask(infer, { authorization: 'Bearer key-camera' }, 'POST')).toMatchObject({ status: 200 });
  expect(await ask('/v2/models/affine', as('camera'))).toMatchObject({ status: 200 });
  expect(await ask('/metrics', as('camera'))).toMatchObject({ status: 403 });
  expect(await ask('/metrics', as('admin'))).toMatchObject({ status: 200, text: 'metrics' });
  // Whether there is such a model is not for everybody to know.
  expect(await ask('/v2/models/nothing', as('camera'))).toMatchObject({ status: 403 });
  expect(await ask('/v2/models/nothing', as('admin'))).toMatchObject({ status: 404 });
  expect(await ask('/v2/health/live')).toMatchObject({ status: 200 });
  expect(await ask('/nothing', { authorization: 'Bearer wrong' })).toMatchObject({ status: 404 });
  expect(await ask(infer, as('old'), 'POST')).toMatchObject({ status: 401, text: containing('expired') });
  expect(await ask(infer, { authorization: 'Basic a2V5LWFkbWlu' }, 'POST')).toMatchObject({ status: 401 });
});

test('who changes what is served stays in the log', async () => {
  const load = '/v2/repository/models/affine/load';
  lines.length = 0;
  expect((await ask(load, as('camera'), 'POST')).status).toBe(403);
  expect((await ask(load, as('admin'), 'POST')).status).toBeGreaterThanOrEqual(400);
  const told = lines.filter(({ fields }) => fields['audit'] === true);
  expect(told.map(({ fields }) => [fields['by'], fields['call'], fields['model'], fields['code']])).toEqual([
    ['camera', 'repository', 'affine', 'SERVE_ACCESS_DENIED'],
    ['admin', 'repository', 'affine', expect.any(String)],
  ]);
});

test('what dialects reach asks again, whatever the route says of itself; outside of a request it gives nothing', async () => {
  const models = guardedModels(runtime, access);
  const repository = guardedRepository(fleetRepository(runtime), access);
  const predict = guardedPredict((asked) => runtime.infer(asked), access);
  const affine = modelName('affine');
  const infer = { model: affine, inputs: { x: fp32([1, 4], [1, 2, 3, 4]) } };
  const within = async <T>(name: string, call: 'metadata' | 'inference' | 'health', work: () => T | Promise<T>): Promise<T> => {
    const header = (one: string): string | undefined => as(name)[one];
    const identity = await access.identify({ transport: 'tcp', address: '127.0.0.1', header });
    return access.admit(identity, { call, model: undefined }, async () => work());
  };
  const denied = coded('SERVE_ACCESS_DENIED');
  expect(() => models.find(affine)).toThrow(denied);
  expect([models.list(), models.statistics(), repository.index()]).toEqual([[], [], []]);
  await expect(predict(infer)).rejects.toThrow(denied);
  await expect(within('stranger', 'inference', () => predict(infer))).rejects.toThrow(denied);
  for (const look of [
    () => models.find(affine),
    () => models.routed(affine),
    () => models.targetOf(affine),
    () => models.statistics(affine),
    () => repository.config(affine),
    () => repository.labels(affine),
    () => repository.labelled(affine, 'stable'),
    () => repository.classNames(affine, 'y'),
    () => repository.load('affine', { files: new Map() }),
    () => repository.unload('affine', { dependents: false }),
  ]) {
    await expect(within('stranger', 'metadata', async () => look())).rejects.toThrow(denied);
  }
  expect(await within('stranger', 'metadata', () => [models.list(), models.statistics(), repository.index()])).toEqual([[], [], []]);
  expect(await within('camera', 'metadata', () => [models.list().length, repository.index().length])).toEqual([1, 1]);
  // A route for metadata predicts for nobody who may not predict.
  await expect(within('camera', 'metadata', () => repository.load('affine', { files: new Map() }))).rejects.toThrow(denied);
  expect((await within('camera', 'metadata', () => predict(infer))).target.version).toBe(1);
  await expect(within('slow', 'metadata', () => repository.unload('affine', { dependents: false }))).rejects.toThrow(denied);
});

test('a client that asks too often is told when to ask again, and others are not', async () => {
  await clock.advance(60_000);
  const path = '/v2/models/affine';
  const seen = [];
  for (let i = 0; i < 4; i++) seen.push(await ask(path, as('slow')));
  expect(seen.map(({ status }) => status)).toEqual([200, 200, 429, 429]);
  expect(seen[2]?.headers.get('retry-after')).toBe('2');
  expect(JSON.parse(seen[2]?.text ?? '')).toMatchObject({ code: 'SERVE_RATE_LIMIT' });
  expect(await ask(path, as('camera'))).toMatchObject({ status: 200 });
  await clock.advance(2_001);
  expect(await ask(path, as('slow'))).toMatchObject({ status: 200 });
});

describe('a changed file', () => {
  const path = '/v2/models/affine';

  test('is in force without a restart; a broken one leaves the old one and is reported', async () => {
    await writeFile(file, JSON.stringify({ ...FILE, keys: [...FILE.keys, key('late', ['caller'])] }));
    expect(await ask(path, as('late'))).toMatchObject({ status: 401 });
    await advanceUntil(() => source.status.keys === 7);
    expect(await ask(path, as('late'))).toMatchObject({ status: 200 });
    await writeFile(file, 'schema: skerry.access/1\nanonymous: [admn]\n');
    await advanceUntil(() => source.status.error !== undefined);
    expect(source.status).toMatchObject({ keys: 7, error: { code: 'SERVE_ACCESS_FILE', message: containing('admn') } });
    expect(lines.filter(({ level }) => level === 'error')).toMatchObject([{ message: containing('the old one stays in force') }]);
    expect(await ask(path, as('late'))).toMatchObject({ status: 200 });
    await rm(file);
    await advanceUntil(() => source.status.error?.message.includes('could not be read') === true);
    await writeFile(file, JSON.stringify(FILE));
    await advanceUntil(() => source.status.error === undefined);
    expect(await ask(path, as('late'))).toMatchObject({ status: 401 });
  });

  /** The file is read in real time, while the clock stands still. */
  async function advanceUntil(holds: () => boolean): Promise<void> {
    await until('the file was read', async () => {
      await clock.advance(2_000);
      return holds();
    });
  }

  test('that is not valid is never opened', async () => {
    const bad = join(folder, 'bad.yaml');
    for (const text of ['', '[', 'schema: skerry.access/2', 'schema: skerry.access/1\nkeys: [{ name: a, digest: secret, roles: [] }]']) {
      await writeFile(bad, text);
      await expect(AccessSource.open(bad, { clock, logger })).rejects.toMatchObject({
        code: text.endsWith('/2') ? 'FORMAT_NEWER' : 'SERVE_ACCESS_FILE',
      });
    }
  });
});

describe('without an access file', () => {
  let open: InferenceServer;
  let where = '';
  beforeAll(async () => {
    open = await serve(undefined, {
      corsOrigins: ['https://app.example'],
      allowedHosts: ['box.lan'],
      grpc: { host: '127.0.0.1', port: 0 },
      maxRequests: 1,
      bodyMemory: 100_000,
    });
    where = `http://127.0.0.1:${open.address.tcp?.port}`;
  });

  test('everything is open but for settings, and keys are for somebody else', async () => {
    expect(await ask('/v2/models/affine', {}, 'GET', where)).toMatchObject({ status: 200 });
    expect(await ask('/metrics', {}, 'GET', where)).toMatchObject({ status: 200 });
    expect(await ask('/metrics', { authorization: 'AWS4-HMAC-SHA256 Credential=x' }, 'GET', where)).toMatchObject({ status: 200 });
    const plain = new Access({ clock });
    const settings = { call: 'settings', model: undefined } as const;
    const done = async (): Promise<string> => 'done';
    const caller = { address: undefined, header: () => undefined };
    const local = await plain.identify({ ...caller, transport: 'unix' });
    const remote = await plain.identify({ ...caller, transport: 'tcp' });
    expect(await plain.admit(local, settings, done)).toBe('done');
    expect(() => plain.admit(remote, settings, done)).toThrow(coded('SERVE_ACCESS_DENIED'));
  });

  test('web pages of allowed origins may call, and others get no header that lets them read', async () => {
    const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' };
    const good = await ask('/v2/models/affine/infer', { origin: 'https://app.example', ...preflight }, 'OPTIONS', where);
    expect([good.status, good.headers.get('access-control-allow-origin'), good.headers.get('access-control-allow-headers')]).toEqual([
      200,
      'https://app.example',
      'content-type',
    ]);
    const called = await ask('/v2/models/affine/infer', { origin: 'https://app.example' }, 'POST', where);
    expect([called.status, called.headers.get('access-control-allow-origin')]).toEqual([200, 'https://app.example']);
    const evil = await ask('/v2/models/affine/infer', { origin: 'https://evil.example', ...preflight }, 'OPTIONS', where);
    expect([evil.status, evil.headers.get('access-control-allow-origin')]).toEqual([405, null]);
    // A browser sends this one without asking first.
    expect(await ask('/v2/models/affine/feedback', { origin: 'https://evil.example' }, 'POST', where)).toMatchObject({ status: 403 });
    expect((await ask('/v2/models/affine', { origin: 'https://app.example' })).headers.get('access-control-allow-origin')).toBe(null);
  });

  test('the memory of bodies is bounded, and given back', async () => {
    const send = (size: number) => fetch(`${where}/v2/models/affine/infer`, { method: 'POST', body: 'x'.repeat(size) });
    for (let i = 0; i < 3; i++) expect((await send(90_000)).status).toBe(400);
    const refused = await send(110_000);
    expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toMatchObject([503, '1', { code: 'SERVE_BUSY' }]);
    expect((await send(90_000)).status).toBe(400);
    // A chunk costs more than the byte that it may have.
    const { port } = new URL(where);
    const chunked = request({ port, path: '/v2/models/affine/infer', method: 'POST', headers: { 'transfer-encoding': 'chunked' } });
    const answered = new Promise<number | undefined>((resolve) => chunked.once('response', (response) => resolve(response.statusCode)));
    chunked.on('error', () => undefined);
    for (let i = 0; i < 2_000; i++) chunked.write('x');
    chunked.end();
    expect(await answered).toBe(503);
  });

  test('a name that is neither an address nor allowed is refused on loopback, since it may be a page whose DNS leads here', async () => {
    const named = (host: string | undefined, at = open, headers: object = {}): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const options = { host: '127.0.0.1', port: at.address.tcp?.port, path: '/v2', setHost: false };
        const asking = request({ ...options, headers: { ...headers, ...(host === undefined ? {} : { host }) } }, (response) =>
          resolve(response.resume().statusCode),
        );
        asking.once('error', reject).end();
      });
    for (const host of [
      '127.0.0.1:1',
      '[::1]:80',
      '[::1]',
      '10.0.0.7',
      'localhost',
      'LOCALHOST:7490',
      'localhost.',
      'app.localhost:1',
      'box.lan',
    ]) {
      expect([host, await named(host)]).toEqual([host, 200]);
    }
    for (const host of [
      'evil.example',
      'evil.example:7490',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'box.lan.evil',
      '[::1].evil',
    ]) {
      expect([host, await named(host)]).toEqual([host, 403]);
    }
    // With an access file, credentials tell clients from pages.
    expect(await named('evil.example', server, as('admin'))).toBe(200);
    const { GrpcTestClient: TestClient } = await import('../../kit/grpc-client.js');
    const codes: number[] = [];
    for (const authority of ['evil.example', 'box.lan:1', 'localhost']) {
      const client = new TestClient(`127.0.0.1:${open.address.grpc?.port}`, undefined, { 'grpc.default_authority': authority });
      const live = await client.unary(`/${GRPC_INFERENCE_SERVICE.name}/ServerLive`, GRPC_INFERENCE_SERVICE.rpcs.ServerLive, {});
      codes.push(live.code);
      client.close();
    }
    expect(codes).toEqual([7, 0, 0]);
  });

  test('messages over gRPC are counted with the bodies', async () => {
    const { GrpcTestClient: TestClient } = await import('../../kit/grpc-client.js');
    const client = new TestClient(`127.0.0.1:${open.address.grpc?.port}`);
    const infer = (bytes: number) =>
      client.unary(`/${GRPC_INFERENCE_SERVICE.name}/ModelInfer`, GRPC_INFERENCE_SERVICE.rpcs.ModelInfer, {
        model_name: 'affine',
        raw_input_contents: [Buffer.alloc(bytes)],
      });
    for (let i = 0; i < 3; i++) expect((await infer(90_000)).skerry).toBe('SERVE_REQUEST');
    expect(await infer(110_000)).toMatchObject({ code: 14, skerry: 'SERVE_BUSY' });
    client.close();
  });

  test('requests in flight are bounded, and health is answered all the same', async () => {
    const { port } = new URL(where);
    const half = request({ port, path: '/v2/models/affine/infer', method: 'POST', headers: { 'content-length': BODY.length } });
    half.on('error', () => undefined);
    const answered = new Promise<number | undefined>((resolve) => half.once('response', (response) => resolve(response.statusCode)));
    half.write(BODY.slice(0, 10));
    let busy = await ask('/v2/models/affine', {}, 'GET', where);
    while (busy.status === 200) busy = await ask('/v2/models/affine', {}, 'GET', where);
    expect([busy.status, busy.headers.get('retry-after'), JSON.parse(busy.text)]).toMatchObject([503, '1', { code: 'SERVE_BUSY' }]);
    expect(await ask('/v2/health/live', {}, 'GET', where)).toMatchObject({ status: 200 });
    half.end(BODY.slice(10));
    expect(await answered).toBe(200);
    expect(await ask('/v2/models/affine', {}, 'GET', where)).toMatchObject({ status: 200 });
  });
});

test('users of the Unix socket may do everything unless the file says otherwise', async () => {
  const overSocket = (path: string, headers: Record<string, string> = {}): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const asking = request({ socketPath: server.address.unix, path, headers }, (response) => resolve(response.resume().statusCode));
      asking.once('error', reject).end();
    });
  expect(await overSocket('/metrics')).toBe(200);
  expect(await overSocket('/metrics', as('camera'))).toBe(403);
});
