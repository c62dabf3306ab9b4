import { afterEach, describe, expect, test } from 'vitest';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { joinBytesElements } from '#shared/tensor/bytes-elements.js';
import type { NamedTensors, Tensor, TensorSpec } from '#shared/tensor/tensor.js';
import { coded } from '../../kit/coded.js';
import {
  failsAboveModel,
  freeWidthModel,
  maskModel,
  oneHotModel,
  oneRowModel,
  parseModel,
  resizeModel,
  tableModel,
  zerosModel,
} from '../../kit/onnx-models.js';
import {
  fp32,
  MemoryRecorder,
  memoryKeyValue,
  modelName,
  numbersOf,
  type SpecOptions,
  versionNumber,
  writeServable,
} from '../../kit/servables.js';

const open: InferenceRuntime[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((runtime) => runtime.close()));
});

const V1 = versionNumber(1);
const AFFINE = modelName('affine');

/** A model that serves, and a way to ask it. */
async function serving(bytes: Uint8Array, options: SpecOptions) {
  const recorder = new MemoryRecorder();
  const runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder, logger: silentLogger });
  await runtime.start();
  open.push(runtime);
  await runtime.load(await writeServable(bytes, options));
  const ask = async (inputs: NamedTensors): Promise<NamedTensors> => (await runtime.infer({ model: AFFINE, version: V1, inputs })).outputs;
  return { ask, recorder };
}

const spec = (name: string, datatype: TensorSpec['datatype'], shape: readonly number[]): TensorSpec => ({ name, datatype, shape });
const ids = (shape: readonly number[], values: readonly number[]): Tensor => ({
  datatype: 'INT64',
  shape,
  data: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
});
const text = (...values: readonly string[]): Tensor => ({
  datatype: 'BYTES',
  shape: [values.length],
  data: joinBytesElements(values.map((value) => new TextEncoder().encode(value))),
});

const table: SpecOptions = {
  inputs: [spec('index', 'INT64', [-1])],
  outputs: [spec('y', 'FP32', [-1])],
  samples: [{ inputs: { index: ids([2], [0, 1]) }, outputs: { y: fp32([2], [10, 20]) } }],
};
const mask: SpecOptions = {
  inputs: [spec('ids', 'INT64', [-1, -1]), spec('mask', 'INT64', [-1, -1])],
  outputs: [spec('y', 'INT64', [-1, -1])],
  samples: [{ inputs: { ids: ids([1, 3], [1, 2, 3]), mask: ids([1, 3], [1, 1, 1]) }, outputs: { y: ids([1, 3], [2, 3, 4]) } }],
};

describe('what a caller sent and the model cannot take is the caller\u2019s fault', () => {
  test('an index beyond the table: a run with the golden values shows it', async () => {
    const { ask, recorder } = await serving(tableModel(), table);
    await expect(ask({ index: ids([3], [0, 5, 30_522]) })).rejects.toEqual(
      coded('INFERENCE_INPUT_REFUSED', /out of.*the values of input "index" caused this/),
    );
    expect(numbersOf((await ask({ index: ids([2], [3, 0]) }))['y'])).toEqual([40, 10]);
    expect(recorder.failures.map(({ code }) => code)).toEqual(['INFERENCE_INPUT_REFUSED']);
  });

  test('text where a number is meant', async () => {
    const { ask } = await serving(parseModel(), {
      inputs: [spec('text', 'BYTES', [-1])],
      outputs: [spec('y', 'FP32', [-1])],
      samples: [{ inputs: { text: text('1', '2.5') }, outputs: { y: fp32([2], [1, 2.5]) } }],
    });
    await expect(ask({ text: text('7', 'abc', '9') })).rejects.toEqual(coded('INFERENCE_INPUT_REFUSED', '"text"'));
    expect(numbersOf((await ask({ text: text('-3') }))['y'])).toEqual([-3]);
  });

  test('a parameter of floating-point values', async () => {
    const x = fp32([1, 1, 1, 2], [1, 2]);
    const { ask } = await serving(resizeModel(), {
      inputs: [spec('x', 'FP32', [1, 1, -1, -1]), spec('scales', 'FP32', [4])],
      outputs: [spec('y', 'FP32', [1, 1, -1, -1])],
      samples: [{ inputs: { x, scales: fp32([4], [1, 1, 1, 1]) }, outputs: { y: x } }],
    });
    await expect(ask({ x, scales: fp32([4], [1, 1, -2, 2]) })).rejects.toEqual(
      coded('INFERENCE_INPUT_REFUSED', 'the values of input "scales"'),
    );
    expect((await ask({ x, scales: fp32([4], [1, 1, 2, 2]) }))['y']?.shape).toEqual([1, 1, 2, 4]);
  });

  test('of several inputs, the one that caused it is named', async () => {
    const golden = { index: ids([2], [0, 1]), depth: ids([1], [3]) };
    const { ask } = await serving(oneHotModel(), {
      inputs: [spec('index', 'INT64', [-1]), spec('depth', 'INT64', [1])],
      outputs: [spec('y', 'FP32', [-1, -1])],
      samples: [{ inputs: golden, outputs: { y: fp32([2, 3], [1, 0, 0, 0, 1, 0]) } }],
    });
    await expect(ask({ ...golden, depth: ids([1], [-3]) })).rejects.toEqual(
      coded('INFERENCE_INPUT_REFUSED', 'the values of input "depth" caused'),
    );
  });

  test('a value that needs more memory than there is', async () => {
    const { ask } = await serving(zerosModel(), {
      inputs: [spec('count', 'INT64', [2])],
      outputs: [spec('y', 'FP32', [-1, -1])],
      samples: [{ inputs: { count: ids([2], [1, 2]) }, outputs: { y: fp32([1, 2], [0, 0]) } }],
    });
    await expect(ask({ count: ids([2], [10_000_000, 10_000_000]) })).rejects.toEqual(
      coded('INFERENCE_INPUT_REFUSED', 'the values of input "count"'),
    );
    expect((await ask({ count: ids([2], [2, 3]) }))['y']?.shape).toEqual([2, 3]);
  });

  test('inputs whose sizes the model declares equal by name are compared before the run', async () => {
    const { ask } = await serving(maskModel(), mask);
    await expect(ask({ ids: ids([1, 3], [1, 2, 3]), mask: ids([1, 2], [1, 1]) })).rejects.toEqual(
      coded(
        'TENSOR_SHAPE',
        'input "ids" has size 3 at dimension 1 and input "mask" has size 2 at dimension 1; the model declares both as "seq"',
      ),
    );
    expect((await ask({ ids: ids([2, 1], [1, 2]), mask: ids([2, 1], [1, 1]) }))['y']?.shape).toEqual([2, 1]);
  });

  test('a name that golden samples contradict, or that says nothing, binds nobody', async () => {
    const wide = { ids: ids([1, 3], [1, 2, 3]), mask: ids([1, 1], [1]) };
    const contradicted = await serving(maskModel(), { ...mask, samples: [{ inputs: wide, outputs: { y: ids([1, 3], [2, 3, 4]) } }] });
    expect((await contradicted.ask(wide))['y']?.shape).toEqual([1, 3]);
    const nameless = await serving(maskModel({ names: ['', '?'] }), mask);
    expect((await nameless.ask(wide))['y']?.shape).toEqual([1, 3]);
  });

  test('inputs whose sizes fit only the runtime knows', async () => {
    const { ask } = await serving(maskModel({ names: ['rows', 'length'] }), mask);
    for (const shape of [
      [1, 2],
      [2, 3],
    ]) {
      const bad = { ids: ids([3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9]), mask: ids(shape, Array(shape[0]! * shape[1]!).fill(1)) };
      await expect(ask(bad)).rejects.toEqual(coded('INFERENCE_INPUT_REFUSED', 'the sizes of inputs "ids" [3,3], "mask"'));
    }
  });

  test('a width that is declared free, and that the weights fix', async () => {
    const { ask } = await serving(freeWidthModel(), {
      inputs: [spec('x', 'FP32', [-1, -1])],
      outputs: [spec('y', 'FP32', [-1, 1])],
      samples: [{ inputs: { x: fp32([1, 4], [1, 2, 3, 4]) }, outputs: { y: fp32([1, 1], [10]) } }],
    });
    await expect(ask({ x: fp32([2, 5], Array(10).fill(1)) })).rejects.toEqual(
      coded('INFERENCE_INPUT_REFUSED', 'the sizes of input "x" [2,5]'),
    );
  });
});

describe('what the model declares to take and fails on is the model\u2019s fault', () => {
  test('an index that the model computes from floating-point values', async () => {
    const sample = { inputs: { x: fp32([1, 4], [0, 0.5, -0.5, 0]) }, outputs: { y: fp32([1, 4], [1, 1, 1, 1]) } };
    const { ask } = await serving(failsAboveModel(), { samples: [sample] });
    await expect(ask({ x: fp32([1, 4], [0, 2, 0, 0]) })).rejects.toEqual(coded('INFERENCE_RUN_FAILED'));
    await expect(ask({ x: fp32([3, 4], Array(12).fill(3)) }), 'in other sizes than the golden sample').rejects.toEqual(
      coded('INFERENCE_RUN_FAILED'),
    );
  });

  test('a number of rows, which is declared free', async () => {
    const x = { x: fp32([1, 4], [1, 2, 3, 4]) };
    const { ask } = await serving(oneRowModel(), { samples: [{ inputs: x, outputs: { y: x.x } }] });
    await expect(ask({ x: fp32([2, 4], Array(8).fill(1)) })).rejects.toEqual(coded('INFERENCE_RUN_FAILED'));
  });
});
