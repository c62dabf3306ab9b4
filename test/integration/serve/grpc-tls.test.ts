import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import type { GrpcTls } from '#agent/serve/config.js';
import { createInferenceServer, type InferenceServer } from '#agent/serve/server.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { GRPC_INFERENCE_SERVICE, GRPC_SERVICE_PROTO } from '#shared/protobuf/inference/grpc-service-proto.js';
import { fileDescriptor } from '#shared/protobuf/descriptor.js';
import { REFLECTION, REFLECTION_CALL } from '#shared/protobuf/standard/reflection-proto.js';
import { GrpcTestClient } from '../../kit/grpc-client.js';
import { memoryKeyValue } from '../../kit/servables.js';

const LIVE = `/${GRPC_INFERENCE_SERVICE.name}/ServerLive`;
const closing: { close(): Promise<void> | void }[] = [];
let runtime: InferenceRuntime;
let folder = '';

/** A certificate for loopback that is its own authority. */
function makeCertificate(name: string): { readonly cert: string; readonly key: string } {
  const [cert, key] = [path.join(folder, `${name}.pem`), path.join(folder, `${name}.key`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
  return { cert, key };
}

async function serve(tls?: GrpcTls): Promise<InferenceServer> {
  const made = await createInferenceServer({
    dataPlane: runtime,
    feedback: new MetricsRecorder(),
    requests: new RequestCounts(),
    metricsText: () => '',
    status: () => ({}),
    agentVersion: '0.1.0',
    logger: silentLogger,
    config: { grpc: { host: '127.0.0.1', port: 0, ...(tls === undefined ? {} : { tls }) }, closeGrace: 200 },
  });
  closing.push(made);
  await made.start();
  return made;
}

function connect(server: InferenceServer, channel = credentials.createInsecure()): GrpcTestClient {
  const client = new GrpcTestClient(`127.0.0.1:${server.address.grpc?.port}`, channel);
  closing.unshift(client);
  return client;
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-tls-'));
  runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder: new MetricsRecorder(), logger: silentLogger });
  await runtime.start();
});
afterAll(async () => {
  for (const one of closing) await one.close();
  await runtime.close();
  await rm(folder, { recursive: true, force: true });
});

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

describe.skipIf(!hasOpenssl)('TLS (skipped where there is no openssl)', () => {
  const live = async (client: GrpcTestClient) =>
    (await client.raw(LIVE, Buffer.alloc(0), { options: { deadline: Date.now() + 2_000 } })).code;

  test('a client that trusts the certificate is answered, one without TLS is not', async () => {
    const own = makeCertificate('server');
    const server = await serve(own);
    expect(await live(connect(server, credentials.createSsl(await readFile(own.cert))))).toBe(0);
    expect(await live(connect(server))).not.toBe(0);
  });

  test('with a CA of clients, only those with its certificate are answered', async () => {
    const [own, theirs, others] = [makeCertificate('mutual'), makeCertificate('client'), makeCertificate('stranger')];
    const server = await serve({ ...own, clientCa: theirs.cert });
    const channel = async (pair: typeof own) =>
      credentials.createSsl(await readFile(own.cert), await readFile(pair.key), await readFile(pair.cert));
    expect(await live(connect(server, await channel(theirs)))).toBe(0);
    expect(await live(connect(server, await channel(others)))).not.toBe(0);
    expect(await live(connect(server, credentials.createSsl(await readFile(own.cert))))).not.toBe(0);
  });

  test('files that do not fit together keep the server from starting', async () => {
    const [one, other] = [makeCertificate('one'), makeCertificate('other')];
    await expect(serve({ cert: one.cert, key: other.key })).rejects.toThrow(/TLS files of the gRPC port/);
    await expect(serve({ cert: path.join(folder, 'nosuch.pem'), key: one.key })).rejects.toThrow(/nosuch/);
  });
});

describe('reflection', () => {
  test.each(REFLECTION)('$proto.package tells services, files and symbols', async ({ rpc, service }) => {
    const client = connect(await serve());
    const { answers } = await client.stream(`/${service.name}/${REFLECTION_CALL}`, rpc, [
      { list_services: '' },
      { file_containing_symbol: 'inference.GRPCInferenceService.ModelInfer' },
      { file_by_filename: 'model_config.proto' },
      { file_containing_symbol: 'no.such' },
    ]);
    expect(answers[0]?.list_services_response?.service.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['grpc.health.v1.Health', GRPC_INFERENCE_SERVICE.name, service.name]),
    );
    const files = answers[1]?.file_descriptor_response?.file_descriptor_proto ?? [];
    expect(files.map((bytes) => Buffer.from(bytes).equals(fileDescriptor(GRPC_SERVICE_PROTO)))).toEqual([true, false]);
    expect(answers[2]?.file_descriptor_response?.file_descriptor_proto).toHaveLength(1);
    expect(answers[3]?.error_response).toMatchObject({ error_code: 5 });
  });
});
