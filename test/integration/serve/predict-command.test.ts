import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import { announce, whereFound } from '#agent/running.js';
import { createInferenceServer, type InferenceServer } from '#agent/serve/server.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { bytesOf } from '#shared/tensor/elements.js';
import { fromJson } from '#shared/tensor/json.js';
import { readNpy, writeNpy } from '#shared/tensor/npy.js';
import { readSafetensors, writeSafetensors } from '#shared/tensor/safetensors.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { constantModel, logModel, loopModel, namedModel, shapelessModel, textModel, tokenModel } from '../../kit/onnx-models.js';
import { ONNX_TYPES } from '../../kit/onnx-proto.js';
import { Processes } from '../../kit/processes.js';
import { memoryKeyValue, modelName, versionNumber, writeServable } from '../../kit/servables.js';

// The command itself, as its own process, asking a real server of models whose tensors JSON cannot carry.

const processes = new Processes();
let runtime: InferenceRuntime;
let server: InferenceServer;
let folder: string;

const floats = (name: string, datatype: Datatype) => ({ name, datatype, shape: [-1] });
const numbers = (datatype: Datatype, ...values: readonly (number | string)[]) => fromJson(datatype, [values.length], values, 'x');
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
      samples: [{ inputs: { text: fromJson('BYTES', [1], ['a'], 'x') }, outputs: { answer: fromJson('BYTES', [1], ['a'], 'x') } }],
    }),
  );
  const odd = ['constructor', '__proto__'];
  const two = fromJson('FP32', [2], [0, 0], 'x');
  await serve(
    'odd',
    writeServable(namedModel(odd), {
      model: 'odd',
      inputs: odd.map((name) => ({ name, datatype: 'FP32', shape: [2] })),
      outputs: odd.map((name) => ({ name: `out ${name}`, datatype: 'FP32', shape: [2] })),
      samples: [
        {
          inputs: Object.fromEntries(odd.map((name) => [name, two])),
          outputs: Object.fromEntries(odd.map((name) => [`out ${name}`, two])),
        },
      ],
    }),
  );
  await serve(
    'constant',
    writeServable(constantModel(), {
      model: 'constant',
      inputs: [],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [2] }],
      samples: [{ inputs: {}, outputs: { y: fromJson('FP32', [2], [1, 2], 'y') } }],
    }),
  );
  await serve(
    'shapeless',
    writeServable(shapelessModel(), {
      model: 'shapeless',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [], anyShape: true }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [], anyShape: true }],
      samples: [{ inputs: { x: two }, outputs: { y: two } }],
    }),
  );
  const four = fromJson('FP32', [1, 4], [0, 0, 0, 0], 'x');
  await serve(
    'slow',
    writeServable(loopModel({ iterations: 1_000_000 }), {
      model: 'slow',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 4] }],
      samples: [{ inputs: { x: four }, outputs: { y: four } }],
    }),
  );
  server = await createInferenceServer({
    dataPlane: runtime,
    feedback: new MetricsRecorder(),
    requests: new RequestCounts(),
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
    await writeFile(file('text.npy'), writeNpy(fromJson('BYTES', [2], ['ä', 'b'], 'x'), 'x'));
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

  test('a model of any shape is asked with the nesting, and not with a flat list', async () => {
    const { stdout } = await predict('shapeless', '--input', 'x=[[1, 2], [3, 4]]');
    expect(stdout).toMatch(/y +FP32 \[2, 2\] +-1 -2 -3 -4\n/);
    expect((await predict('shapeless', '--input', 'x=5')).stdout).toMatch(/y +FP32 \[\] +-5\n/);
  });

  test('a model without inputs is asked by its name', async () => {
    expect(await asked('constant')).toEqual({ y: [1, 2] });
    await writeFile(file('none.json'), '{"inputs": {}}');
    expect(await asked('constant', '--file', file('none.json'))).toEqual({ y: [1, 2] });
  });

  test('inputs may be called as what every object has', async () => {
    const answer = [
      ['out constructor', [-1, -2]],
      ['out __proto__', [-3, -4]],
    ];
    expect(Object.entries(await asked('odd', '--input', 'constructor=[1, 2]', '--input', '__proto__=[3, 4]'))).toEqual(answer);
    await writeFile(file('odd.json'), '{"inputs": {"constructor": [1, 2], "__proto__": [3, 4]}}');
    expect(Object.entries(await asked('odd', '--file', file('odd.json')))).toEqual(answer);
    const shaped = await predict('odd', '--input', 'constructor=[1, 2]', '--input', '__proto__=[3, 4]', '--shape', '__proto__=3');
    expect(shaped.stderr).toMatch(/__proto__/);
  });

  test('only the values that are shown are turned into text', async () => {
    const shown = await predict('single', '--input', `x=[${Array.from({ length: 20 }, (_, at) => at).join(',')}]`);
    expect(shown.stdout).toMatch(/y +FP32 \[20\] +0 1 2 .* 15 \.\.\. 4 more/);
    const many = await predict('text', '--input', `text=${JSON.stringify(Array.from({ length: 18 }, () => 'é'))}`);
    expect(many.stdout).toMatch(/"é" \.\.\. 2 more/);
  });

  test.each([
    ['the time said', {}, ['--timeout', '200ms']],
    ['the time that the request says', { parameters: { timeout: 200_000 } }, []],
    ['the time said, whatever the request says', { parameters: { timeout: 60_000_000 } }, ['--timeout', '200ms']],
  ])('a prediction may take %s', async (_, extra, args) => {
    const data = [1, 2, 3, 4];
    await writeFile(file('late.json'), JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data }], ...extra }));
    await writeFile(file('late-values.json'), JSON.stringify({ inputs: { x: data }, ...extra }));
    for (const name of ['late.json', 'late-values.json']) {
      const began = performance.now();
      const { stderr } = await predict('slow', '--file', file(name), ...args);
      expect(stderr).toMatch(/INFERENCE_TIMEOUT/);
      expect(performance.now() - began).toBeLessThan(10_000);
    }
  });

  test.each<[string, readonly string[], RegExp]>([
    ['a time that is none', ['half', '--input', 'x=[1]', '--timeout', '1 hour'], /wants a duration/],
    ['a ragged list', ['half', '--input', 'x=[[1, 2], [3]]'], /different lengths[^]*\[CLI_USAGE\]/],
    ['a file of another datatype', ['single', '--input', 'x=@x.npy'], /the file has FP16[^]*\[TENSOR_DATATYPE\]/],
    ['an unnamed npy file', ['half', '--input', '@x.npy'], /name the input[^]*\[CLI_USAGE\]/],
    ['no such file', ['half', '--input', 'x=@none.npy'], /file not found[^]*\[CLI_USAGE\]/],
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
