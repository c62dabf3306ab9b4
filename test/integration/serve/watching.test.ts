import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import os from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { openWatching, type Watching } from '#agent/assembly/watching.js';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { HealthMonitor } from '#agent/metrics/health.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import { createMetricsText } from '#agent/metrics/text.js';
import { createInferenceServer, type InferenceServer } from '#agent/serve/server.js';
import { renderMetrics } from '#shared/kernel/exposition.js';
import { Parts } from '#shared/kernel/lifecycle.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { affineModel } from '../../kit/onnx-models.js';
import { recordingLogger } from '../../kit/recorder.js';
import { memoryKeyValue, modelName, versionNumber, writeServable } from '../../kit/servables.js';
import { until } from '../../kit/until.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const value = z.union([z.object({ stringValue: z.string() }), z.object({ intValue: z.string() }), z.object({ boolValue: z.boolean() })]);
const attributes = z.array(z.object({ key: z.string(), value }));
const spanSchema = z.object({
  traceId: z.string().regex(/^[0-9a-f]{32}$/),
  spanId: z.string().regex(/^[0-9a-f]{16}$/),
  parentSpanId: z.string().optional(),
  traceState: z.string().optional(),
  name: z.string(),
  kind: z.int(),
  startTimeUnixNano: z.string().regex(/^\d{19}$/),
  endTimeUnixNano: z.string().regex(/^\d{19}$/),
  attributes,
  status: z.object({ code: z.int().optional(), message: z.string().optional() }),
});
const exportSchema = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes }),
      scopeSpans: z.array(z.object({ scope: z.object({ name: z.string(), version: z.string() }), spans: z.array(spanSchema) })),
    }),
  ),
});
type SentSpan = z.infer<typeof spanSchema>;

/** A collector as OTLP over HTTP has it. */
class Collector {
  readonly spans: SentSpan[] = [];
  resource: z.infer<typeof attributes> = [];
  readonly heads: unknown[] = [];
  requests = 0;
  status = 200;
  readonly #server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      this.requests += 1;
      if (this.status === 200) {
        this.heads.push([request.method, request.url, request.headers['content-type'], request.headers['api-key']]);
        for (const { resource, scopeSpans } of exportSchema.parse(JSON.parse(Buffer.concat(parts).toString())).resourceSpans) {
          this.resource = resource.attributes;
          this.spans.push(...scopeSpans.flatMap(({ spans }) => spans));
        }
      }
      response.writeHead(this.status, { 'content-type': 'application/json' }).end('{"partialSuccess":{}}');
    });
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const collector = new Collector();
const clock = new VirtualClock();
const { logger, lines } = recordingLogger();
const parts = new Parts();
let folder = '';
let watching: Watching;
let runtime: InferenceRuntime;
let server: InferenceServer;
let base = '';

beforeAll(async () => {
  folder = await mkdtemp(join(os.tmpdir(), 'skerry-watching-'));
  const config = {
    accessLog: join(folder, 'access.log'),
    traceEndpoint: await collector.listen(),
    traceHeaders: { 'api-key': 'secret' },
    traceRatio: 1,
    traceService: 'lab',
    tritonMetrics: 'on' as const,
  };
  watching = await openWatching(parts, { config, clock, logger, instance: 'device-1' });
  runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder: new MetricsRecorder(), logger: silentLogger });
  await runtime.start();
  await runtime.load(await writeServable(affineModel()));
  runtime.route(modelName('affine'), versionNumber(1));
  server = await createInferenceServer({
    dataPlane: runtime,
    feedback: new MetricsRecorder(),
    requests: new RequestCounts(),
    metricsText: () => '',
    status: () => ({}),
    agentVersion: '0.1.0',
    logger: silentLogger,
    tracer: watching.tracer,
    accessLog: watching.accessLog,
    config: { tcp: { host: '127.0.0.1', port: 0 } },
  });
  await server.start();
  base = `http://127.0.0.1:${server.address.tcp?.port}`;
});
afterAll(async () => {
  await server.close();
  await parts.close();
  await runtime.close();
  collector.close();
  await rm(folder, { recursive: true });
});

const BODY = JSON.stringify({ inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4] }] });
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const infer = (headers: Record<string, string> = {}, model = 'affine') =>
  fetch(`${base}/v2/models/${model}/infer`, { method: 'POST', body: BODY, headers });

async function exported(count: number): Promise<readonly SentSpan[]> {
  await clock.advance(5_000);
  await until('the spans arrived', () => collector.spans.length >= count);
  return collector.spans.splice(0);
}

describe('traces', () => {
  test('a request is a span of the client’s trace, with its queue and its run below it', async () => {
    const answer = await infer({ traceparent: `00-${TRACE}-b7ad6b7169203331-01`, tracestate: 'vendor=1' });
    expect(answer.headers.get('traceresponse')).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    const spans = await exported(3);
    expect(spans.map(({ name, kind }) => [name, kind])).toEqual([
      ['queue', 1],
      ['compute', 1],
      ['oip inference', 2],
    ]);
    const [queue, compute, request] = spans;
    expect(request).toMatchObject({ traceId: TRACE, parentSpanId: 'b7ad6b7169203331', traceState: 'vendor=1', status: {} });
    expect([queue?.parentSpanId, compute?.parentSpanId]).toEqual([request?.spanId, request?.spanId]);
    expect(queue?.endTimeUnixNano).toBe(compute?.startTimeUnixNano);
    expect(answer.headers.get('traceresponse')).toContain(request?.spanId);
    expect(request?.attributes).toContainEqual({ key: 'skerry.version', value: { intValue: '1' } });
    expect(request?.attributes).toContainEqual({ key: 'skerry.request', value: { stringValue: 'POST /v2/models/affine/infer' } });
    expect(collector.heads).toEqual([['POST', '/v1/traces', 'application/json', 'secret']]);
    expect(collector.resource).toContainEqual({ key: 'service.name', value: { stringValue: 'lab' } });
    expect(collector.resource).toContainEqual({ key: 'service.instance.id', value: { stringValue: 'device-1' } });
  });

  test('without one, or with one that is not valid, a trace begins here; a refusal is an error', async () => {
    await infer({}, 'nothing');
    await infer({ traceparent: `00-${'0'.repeat(32)}-b7ad6b7169203331-01` }, 'nothing');
    const spans = await exported(2);
    expect(spans.map(({ parentSpanId, status }) => [parentSpanId, status.code])).toEqual([
      [undefined, 2],
      [undefined, 2],
    ]);
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(2);
    expect(spans[0]?.attributes).toContainEqual({ key: 'error.type', value: { stringValue: 'INFERENCE_MODEL_UNKNOWN' } });
  });

  test('what the client does not sample is not kept, and goes on unsampled', async () => {
    const answer = await infer({ traceparent: `00-${TRACE}-b7ad6b7169203331-00` });
    expect(answer.headers.get('traceresponse')).toMatch(/-00$/);
    await infer();
    expect((await exported(3)).every(({ traceId }) => traceId !== TRACE)).toBe(true);
  });

  test('a collector that is away is tried again and costs no request; one that refuses is believed', async () => {
    collector.status = 503;
    const before = collector.requests;
    expect((await infer()).status).toBe(200);
    await clock.advance(5_000);
    await until('it was tried', () => collector.requests === before + 1);
    await until('it was said', () => lines.some(({ message }) => message.startsWith('spans could not be exported')));
    collector.status = 200;
    await clock.advance(10_000);
    await until('the spans arrived', () => collector.spans.length === 3);
    collector.spans.length = 0;
    collector.status = 400;
    await infer();
    await until('they were dropped', async () => {
      await clock.advance(5_000);
      return renderMetrics(watching.families(runtime)).includes('skerry_spans_dropped_total 3');
    });
    collector.status = 200;
  });
});

test('metrics have a port of their own, and Triton’s names where they are asked for', async () => {
  const recorder = new MetricsRecorder();
  const health = new HealthMonitor({ diskUsed: () => Promise.resolve(0) });
  const counted = { recorder, requests: new RequestCounts(), dataPlane: runtime, health, build: () => ({}) };
  const beside = await createInferenceServer({
    dataPlane: runtime,
    feedback: recorder,
    requests: new RequestCounts(),
    metricsText: createMetricsText({ ...counted, more: watching.families }),
    status: () => ({}),
    agentVersion: '0.1.0',
    logger: silentLogger,
    config: { tcp: { host: '127.0.0.1', port: 0 }, metrics: { host: '127.0.0.1', port: 0 } },
  });
  await beside.start();
  onTestFinished(() => beside.close());
  const where = `http://127.0.0.1:${beside.address.metrics?.port}`;
  const count = async (): Promise<number> =>
    Number(/^nv_inference_request_success{model="affine",version="1"} (\d+)$/m.exec(await (await fetch(`${where}/metrics`)).text())?.[1]);
  const before = await count();
  expect((await infer()).status).toBe(200);
  expect(await count()).toBe(before + 1);
  expect((await fetch(`${where}/v2`)).status).toBe(404);
  expect(await createMetricsText(counted)()).not.toContain('nv_');
});

test('the access log has a line for each request, and may be moved away', async () => {
  const file = join(folder, 'access.log');
  const rows = async (path: string): Promise<readonly unknown[]> =>
    (await readFile(path, 'utf8').catch(() => '')).split('\n').flatMap((line): unknown[] => (line === '' ? [] : [JSON.parse(line)]));
  await clock.advance(1_000);
  await until('earlier lines are there', async () => (await rows(file)).length > 0);
  await rename(file, `${file}.1`);
  await infer({ traceparent: `00-${TRACE}-b7ad6b7169203331-00` });
  await infer({}, 'nothing');
  await clock.advance(1_000);
  const written = await until('both lines are there', async () => {
    const found = await rows(file);
    return found.length === 2 && found;
  });
  expect(written).toMatchObject([
    {
      time: new Date(clock.now() - 1_000).toISOString(),
      transport: 'tcp',
      address: '127.0.0.1',
      client: 'anonymous',
      api: 'oip',
      call: 'inference',
      request: 'POST /v2/models/affine/infer',
      model: 'affine',
      status: 'OK',
      trace: TRACE,
    },
    { model: 'nothing', status: 'NOT_FOUND', code: 'INFERENCE_MODEL_UNKNOWN' },
  ]);
});
