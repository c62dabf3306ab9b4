import { describe, expect, onTestFinished, test } from 'vitest';
import type { InferenceSettings } from '#agent/inference/settings.js';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { affineModel, slowModel } from '../../kit/onnx-models.js';
import {
  affineSample,
  fp32,
  MemoryRecorder,
  memoryKeyValue,
  modelName,
  numbersOf,
  versionNumber,
  writeServable,
} from '../../kit/servables.js';

const MiB = 1024 * 1024;
const V1 = versionNumber(1);
const [LARGE, SMALL] = [modelName('large'), modelName('small')];
const WIDTH = 3600;
/** 49 MiB of weights. */
const large = () =>
  writeServable(slowModel({ width: WIDTH, layers: 1 }), {
    model: LARGE,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, WIDTH] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, WIDTH] }],
    samples: [],
  });
const small = () => writeServable(affineModel(), { model: SMALL, samples: [affineSample()] });

async function runtimeWith(settings: Partial<InferenceSettings>): Promise<InferenceRuntime> {
  const runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder: new MemoryRecorder(), logger: silentLogger, settings });
  onTestFinished(() => runtime.close());
  await runtime.start();
  return runtime;
}

describe.skipIf(process.platform !== 'linux')('memory of models (read from /proc, which Linux has)', () => {
  test('what a load in a process cost is measured, whatever else is loaded meanwhile, and given back when another needs room', async () => {
    const runtime = await runtimeWith({ isolation: 'process', modelMemory: 80 * MiB });
    const ask = () => runtime.infer({ model: SMALL, inputs: { x: fp32([1, 4], [1, 2, 3, 4]) } });
    await runtime.load(await small());
    runtime.route(SMALL, V1);
    const [alone] = runtime.list();
    await runtime.load(await large());
    runtime.route(LARGE, V1);
    const before = await runtime.residentBytes();
    expect(runtime.list()).toMatchObject([
      { model: 'small', asleep: true },
      { model: 'large', state: 'available' },
    ]);
    const [asleep, held] = runtime.list();

    expect(held?.memoryBytes).toBeGreaterThan(48 * MiB);
    expect(held?.memoryEstimated).toBeUndefined();
    expect(asleep?.memoryBytes).toBe(alone?.memoryBytes);
    expect(numbersOf((await ask()).outputs['y'])).toEqual([3, 5, 7, 9]);
    expect(runtime.list()).toMatchObject([{ model: 'small' }, { model: 'large', asleep: true }]);
    // What is left of it is the program of the small model's process.
    expect((await runtime.residentBytes()) / before).toBeLessThan(0.75);
    expect(runtime.memory().heldBytes).toBeLessThan(60 * MiB);
  });

  test('what a load in a thread cost is an estimate, and said to be', async () => {
    const runtime = await runtimeWith({ isolation: 'thread' });
    await runtime.load(await large());
    const [status] = runtime.list();
    expect(status?.memoryEstimated).toBe(true);
    expect(status?.memoryBytes).toBeGreaterThan(48 * MiB);
  });
});
