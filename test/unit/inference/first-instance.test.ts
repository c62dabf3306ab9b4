import { describe, expect, it } from 'vitest';
import { createInferenceRuntime } from '#agent/inference/runtime.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { coded } from '../../kit/coded.js';
import { FakeInstance } from '../../kit/fake-instance.js';
import { fp32, MemoryRecorder, memoryKeyValue, modelName, versionNumber, writeServable, X, Y } from '../../kit/servables.js';

const MODEL = modelName('affine');
const V1 = versionNumber(1);
const inputs = { x: fp32([1, 4], [1, 2, 3, 4]) };

function setUp() {
  const make = (): FakeInstance => new FakeInstance({ inputs: [X], outputs: [Y] });
  const first = make();
  const made: FakeInstance[] = [];
  const runtime = createInferenceRuntime({
    store: memoryKeyValue(),
    recorder: new MemoryRecorder(),
    logger: silentLogger,
    startInstance: () => {
      const instance = make();
      made.push(instance);
      return instance;
    },
    first,
  });
  return { runtime, first, made };
}

describe('an instance that was started before the runtime', () => {
  it('describes the device and then holds the first model; no other is started for either', async () => {
    const { runtime, first, made } = setUp();
    expect(await runtime.describe()).toMatchObject({ name: 'fake' });
    await runtime.load(await writeServable(Uint8Array.of(1), { samples: [{ inputs, outputs: { y: inputs.x } }] }));
    runtime.route(MODEL, V1);
    await runtime.infer({ model: MODEL, inputs });
    expect(first.runs.length).toBeGreaterThan(0);
    // Other providers of the device are tried in instances of their own; none of those was asked to predict.
    expect(made.every((instance) => instance.runs.length === 0)).toBe(true);
    await runtime.close();
    expect(first.closed).toBe(true);
  });

  it('is closed with the runtime where nothing was asked of it', async () => {
    const { runtime, first, made } = setUp();
    await runtime.close();
    expect(first.closed).toBe(true);
    expect(made).toEqual([]);
  });

  it('is replaced where it ended before it was asked', async () => {
    const { runtime, first, made } = setUp();
    first.describe = () => Promise.reject(new SkerryError('INFERENCE_INSTANCE_DIED', 'the fake worker died'));
    await expect(runtime.describe()).rejects.toEqual(coded('INFERENCE_INSTANCE_DIED'));
    expect(await runtime.describe()).toMatchObject({ name: 'fake' });
    expect(made).toHaveLength(1);
  });
});
