import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { folderSource } from '#agent/standalone/source.js';
import { openStandalone, type Standalone } from '#agent/standalone-app.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { writeFiles } from '../kit/model-folder.js';
import { affineModel, loopModel, textModel, tokenModel } from '../kit/onnx-models.js';
import { CLIENTS, failuresOf, lacking, runCases, runClient } from '../kit/other-clients.js';

// Clients that people already have, unchanged, against one server of a folder of models.

const run = promisify(execFile);
let server: Standalone;
let folder = '';
let http = '';
let grpc = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-clients-'));
  const spare = affineModel({ scale: 3 });
  await writeFile(path.join(folder, 'spare.onnx'), spare);
  await writeFiles(path.join(folder, 'models'), {
    'affine/1/model.onnx': affineModel({ scale: 2, bias: 1 }),
    'text/1/model.onnx': textModel(),
    'token/1/model.onnx': tokenModel({ offset: 1 }),
    'spare/1/model.onnx': spare,
    'given/1/model.onnx': spare,
    'narrow/1/model.onnx': affineModel({ width: 1 }),
    'slow/1/model.onnx': loopModel({ iterations: 1_000_000 }),
  });
  const host = '127.0.0.1';
  server = await openStandalone({
    source: folderSource(path.join(folder, 'models')),
    control: 'explicit',
    load: ['affine', 'text', 'token', 'slow', 'narrow'],
    serve: { tcp: { host, port: 0 }, grpc: { host, port: 0 }, sharedMemory: true, closeGrace: 200 },
    inference: { isolation: 'thread' },
    logger: silentLogger,
  });
  await server.start();
  http = `${host}:${server.address.tcp?.port}`;
  grpc = `${host}:${server.address.grpc?.port}`;
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

describe('clients of other servers', () => {
  test.skipIf(CLIENTS.triton === undefined)(`Triton's, over HTTP and gRPC, and gRPC by reflection${lacking(CLIENTS.triton)}`, async () => {
    const cases = await runCases(CLIENTS.triton, 'triton_calls.py', http, grpc, path.join(folder, 'spare.onnx'));
    expect(failuresOf(cases)).toEqual({});
    expect(Object.keys(cases).length).toBeGreaterThan(35);
  });

  test.skipIf(CLIENTS.kserve === undefined)(`KServe's, over REST and gRPC${lacking(CLIENTS.kserve)}`, async () => {
    const cases = await runCases(CLIENTS.kserve, 'other_calls.py', 'kserve', http, grpc);
    expect([failuresOf(cases), Object.keys(cases).length]).toEqual([{}, 2]);
  });

  test.skipIf(CLIENTS.triton === undefined)(`TensorFlow Serving's, over REST and gRPC${lacking(CLIENTS.triton)}`, async () => {
    const cases = await runCases(CLIENTS.triton, 'other_calls.py', 'tfs', http, grpc);
    expect([failuresOf(cases), Object.keys(cases).length]).toEqual([{}, 3]);
  });

  test.skipIf(CLIENTS.perfAnalyzer === undefined).each([
    ['HTTP', () => ['-i', 'http', '-u', http]],
    ['gRPC', () => ['-i', 'grpc', '-u', grpc]],
  ] as const)(`perf_analyzer over %s${lacking(CLIENTS.perfAnalyzer)}`, async (_, where) => {
    const printed = await runClient(CLIENTS.perfAnalyzer, ['-m', 'affine', '--shape', 'x:1,4', '--request-count', '50', ...where()]);
    expect(printed).toMatch(/Request count: [1-9]/);
    expect(printed).toMatch(/Throughput: [\d.]+ infer\/sec/);
  });

  test.skipIf(CLIENTS.promtool === undefined)(`promtool finds nothing wrong with a scrape${lacking(CLIENTS.promtool)}`, async () => {
    const [program = ''] = CLIENTS.promtool ?? [];
    const check = `set -o pipefail; curl -sf http://${http}/metrics | "${program}" check metrics 2>&1`;
    const { stdout } = await run('bash', ['-c', check]).catch((failure: { stdout: string }) => failure);
    // What it says of names is style; what it could not read would be an error.
    expect(stdout).not.toMatch(/error while linting|parse|invalid/i);
  });

  test("MLflow's request by curl", async () => {
    const { stdout } = await run('curl', [
      '-sf',
      `http://${http}/invocations?model_name=affine`,
      '-H',
      'content-type: application/json',
      '-d',
      '{"inputs": {"x": [[1, 2, 3, 4]]}}',
    ]).catch((failure: { stdout: string }) => failure);
    expect(stdout).toContain('predictions');
  });
});
