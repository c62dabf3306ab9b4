import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { announce, whereFound } from '#agent/running.js';
import { createInferenceServer, type InferenceServer } from '#agent/serve/server.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { bytesOf } from '#shared/tensor/elements.js';
import { fromValues } from '#shared/tensor/half-values.js';
import { readNpy, writeNpy } from '#shared/tensor/npy.js';
import { readSafetensors, writeSafetensors } from '#shared/tensor/safetensors.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { logModel, textModel, tokenModel } from '../../kit/onnx-models.js';
import { ONNX_TYPES } from '../../kit/onnx-proto.js';
import { Processes } from '../../kit/processes.js';
import { memoryKeyValue, modelName, versionNumber, writeServable } from '../../kit/servables.js';

// The command itself, as its own process, asking a real server of models whose tensors JSON cannot carry.

const processes = new Processes();
let runtime: InferenceRuntime;
let server: InferenceServer;
let folder: string;

const floats = (name: string, datatype: Datatype) => ({ name, datatype, shape: [-1] });
const numbers = (datatype: Datatype, ...values: readonly (number | string)[]) => fromValues(datatype, [values.length], values, 'x');
const int64 = (...values: readonly bigint[]) =>
  ({ datatype: 'INT64', shape: [values.length], data: bytesOf(BigInt64Array.from(values)) }) as const;

async function serve(model: string, spec: ReturnType<typeof writeServable>): Promise<void> {
  await runtime.load(await spec);
  runtime.route(modelName(model), versionNumber(1));
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-predict-'));
  runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder: new MetricsRecorder(), logger: silentLogger });
  await runtime.start();
  for (const [model, datatype, type] of [
    ['half', 'FP16', ONNX_TYPES.FLOAT16],
    ['single', 'FP32', ONNX_TYPES.FLOAT],
  ] as const) {
    const sample = { inputs: { x: numbers(datatype, 1) }, outputs: { y: numbers(datatype, 1), logs: numbers(datatype, 0) } };
    await serve(
      model,
      writeServable(logModel({ type }), {
        model,
        inputs: [floats('x', datatype)],
        outputs: [floats('y', datatype), floats('logs', datatype)],
        samples: [sample],
      }),
    );
  }
  await serve(
    'token',
    writeServable(tokenModel({ offset: 1 }), {
      model: 'token',
      inputs: [floats('x', 'INT64')],
      outputs: [floats('token', 'INT64')],
      samples: [{ inputs: { x: int64(1n) }, outputs: { token: int64(2n) } }],
    }),
  );
  await serve(
    'text',
    writeServable(textModel(), {
      model: 'text',
      inputs: [floats('text', 'BYTES')],
      outputs: [floats('answer', 'BYTES')],
      samples: [{ inputs: { text: fromValues('BYTES', [1], ['a'], 'x') }, outputs: { answer: fromValues('BYTES', [1], ['a'], 'x') } }],
    }),
  );
  server = createInferenceServer({
    dataPlane: runtime,
    feedback: new MetricsRecorder(),
    metricsText: () => '',
    status: () => ({}),
    agentVersion: '0.1.0',
    logger: silentLogger,
    // Whatever is large for JSON is not for this command.
    config: { tcp: { host: '127.0.0.1', port: 0 }, jsonElements: 1 },
  });
  await server.start();
  await announce(folder, { pid: process.pid, boot: 1, version: '0', startedAt: '', device: 'd', ...whereFound(server.address) });
});
afterAll(async () => {
  await processes.close();
  await server.close();
  await runtime.close();
});

const predict = (...args: readonly string[]) => processes.run('skerry-agent', ['predict', '--data', folder, ...args]);
const file = (name: string): string => path.join(folder, name);

interface JsonReply {
  readonly outputs: readonly { readonly name: string; readonly datatype: string; readonly data: readonly unknown[] }[];
}
async function asked(...args: readonly string[]): Promise<Readonly<Record<string, readonly unknown[]>>> {
  const { stdout, stderr } = await predict(...args, '--json');
  expect(stderr).toBe('');
  return Object.fromEntries((JSON.parse(stdout) as JsonReply).outputs.map(({ name, data }) => [name, data]));
}

describe('skerry-agent predict speaks binary', () => {
  test('FP16, NaN and infinities go through, as numbers and names', async () => {
    expect(await asked('half', '--input', 'x=[1, 0, 2.5]')).toEqual({ y: [1, 0, 2.5], logs: [0, '-Infinity', 0.91650390625] });
    expect(await asked('single', '--input', 'x=[0, -1, "Infinity"]')).toEqual({
      y: [0, -1, 'Infinity'],
      logs: ['-Infinity', 'NaN', 'Infinity'],
    });
    const shown = await predict('half', '--input', 'x=[1, 0]');
    expect([shown.code, shown.stdout]).toEqual([
      0,
      expect.stringMatching(/half@1 in [^]*y +FP16 \[2\] +1 0\n[^]*logs +FP16 \[2\] +0 -Infinity\n/),
    ]);
  });

  test('64-bit integers keep all of their digits', async () => {
    expect(await asked('token', '--input', 'x=[9007199254740993, -5]')).toEqual({ token: ['9007199254740994', -4] });
    await writeFile(file('token.json'), '{"inputs": {"x": [9223372036854775806]}}');
    expect(await asked('token', '--file', file('token.json'))).toEqual({ token: ['9223372036854775807'] });
  });

  test('npy files in and out', async () => {
    await writeFile(file('x.npy'), writeNpy(numbers('FP16', 1, 0, 'NaN', 65504), 'x'));
    expect(await asked('half', '--input', `x=@${file('x.npy')}`, '--output', `logs=${file('logs.npy')}`)).toMatchObject({
      y: [1, 0, 'NaN', 65504],
    });
    expect(readNpy(await readFile(file('logs.npy')), 'logs')).toMatchObject({ datatype: 'FP16', shape: [4] });
    await writeFile(file('text.npy'), writeNpy(fromValues('BYTES', [2], ['ä', 'b'], 'x'), 'x'));
    expect(await asked('text', '--input', `text=@${file('text.npy')}`, '--output', file('answer.npy'))).toEqual({ answer: ['ä', 'b'] });
    expect((await readFile(file('answer.npy'))).equals(await readFile(file('text.npy')))).toBe(true);
  });

  test('safetensors files in and out', async () => {
    await writeFile(file('in.safetensors'), writeSafetensors({ x: numbers('FP16', 0.5, 4) }));
    for (const input of [`@${file('in.safetensors')}`, `x=@${file('in.safetensors')}`]) {
      expect(await asked('half', '--input', input, '--output', file('out.safetensors'))).toMatchObject({ y: [0.5, 4] });
      const { tensors } = readSafetensors(await readFile(file('out.safetensors')), 'out');
      expect(Object.keys(tensors).toSorted()).toEqual(['logs', 'y']);
      expect(Buffer.from(tensors['y']?.data ?? [])).toEqual(Buffer.from(numbers('FP16', 0.5, 4).data));
    }
  });

  test('a whole request of the protocol, with numbers for FP16', async () => {
    const request = { inputs: [{ name: 'x', datatype: 'FP16', shape: [2], data: [1, 2] }], outputs: [{ name: 'y' }] };
    await writeFile(file('request.json'), JSON.stringify(request));
    expect(await asked('half', '--file', file('request.json'))).toEqual({ y: [1, 2] });
  });

  test.each<[string, readonly string[], RegExp]>([
    ['a file of another datatype', ['single', '--input', 'x=@x.npy'], /the file has FP16[^]*\[TENSOR_DATATYPE\]/],
    ['an unnamed npy file', ['half', '--input', '@x.npy'], /name the input[^]*\[CLI_USAGE\]/],
    ['no such file', ['half', '--input', 'x=@none.npy'], /there is no file[^]*\[CLI_USAGE\]/],
    ['an output file of an unknown kind', ['half', '--input', 'x=[1]', '--output', 'y=y.bin'], /\.safetensors or \.npy[^]*\[CLI_USAGE\]/],
    ['several outputs for one npy file', ['half', '--input', 'x=[1]', '--output', 'y.npy'], /--output NAME=[^]*\[CLI_USAGE\]/],
    ['values that are not JSON', ['half', '--input', 'x=[1,'], /not JSON[^]*\[CLI_USAGE\]/],
    ['no value at all', ['half', '--input', 'x'], /wants NAME=VALUES/],
    ['a string the runtime would alter', ['text', '--input', String.raw`text=["a\u0000b"]`], /\[TENSOR_STRING\]/],
  ])('%s is refused', async (_, args, message) => {
    const given = args.map((arg) => arg.replace(/(?<=@|=|^)([\w]+\.(?:npy|bin))$/, (name) => file(name)));
    const { code, stderr } = await predict(...given);
    expect([code > 0, stderr]).toEqual([true, expect.stringMatching(message)]);
  });

  test('its help shows files in and out', async () => {
    const { stdout } = await predict('--help');
    for (const example of ['x=@image.npy', '@inputs.safetensors', 'scores.npy', 'outputs.safetensors']) expect(stdout).toContain(example);
  });
});
