import { afterEach, describe, expect, test } from 'vitest';
import type { TrafficPolicy } from '#agent/inference/contract.js';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { affineModel, loopModel, tableModel } from '../../kit/onnx-models.js';
import {
  affineSample,
  fp32,
  memoryKeyValue,
  MemoryRecorder,
  modelName,
  numbersOf,
  versionNumber,
  writeServable,
} from '../../kit/servables.js';
import { until } from '../../kit/until.js';

const model = modelName('affine');
const [old, candidate] = [versionNumber(1), versionNumber(2)];
const policy = (rest: Partial<TrafficPolicy> = {}): TrafficPolicy => ({
  candidate,
  action: 'split',
  share: 0.5,
  sticky: 'key',
  salt: 'r',
  ...rest,
});

describe('two versions of one model', () => {
  let runtime: InferenceRuntime;
  let recorder: MemoryRecorder;
  afterEach(() => runtime.close());

  async function setUp(bytes: Uint8Array, sample = affineSample()): Promise<void> {
    recorder = new MemoryRecorder();
    runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder, logger: silentLogger, device: 'd1' });
    await runtime.start();
    await runtime.load(await writeServable(affineModel(), { version: 1 }));
    await runtime.load(await writeServable(bytes, { version: 2, samples: [sample] }));
    runtime.route(model, old);
  }
  const ask = (key?: string, x = 1) =>
    runtime.infer({ model, inputs: { x: fp32([1, 4], [x, x, x, x]) }, ...(key === undefined ? {} : { key }) });

  test('a split answers keys from one version each, and says which version it was', async () => {
    await setUp(affineModel({ scale: 3, bias: 0 }), affineSample(3, 0));
    runtime.direct(model, policy());
    const seen = new Map<string, number>();
    for (let round = 0; round < 3; round++) {
      for (let user = 0; user < 20; user++) {
        const reply = await ask(`user-${user}`);
        expect(numbersOf(reply.outputs['y'])[0]).toBe(3);
        expect(seen.get(`user-${user}`) ?? reply.target.version).toBe(reply.target.version);
        seen.set(`user-${user}`, reply.target.version);
      }
    }
    expect(new Set(seen.values())).toEqual(new Set([1, 2]));
    expect(recorder.successes.every(({ target }) => target.role === (target.version === 1 ? 'serving' : 'candidate'))).toBe(true);
    // The candidate goes: everything is answered by the one that stays.
    await runtime.unload(model, candidate);
    for (let user = 0; user < 20; user++) expect((await ask(`user-${user}`)).target.version).toBe(1);
  });

  test('a shadow is compared and answers nothing, however wrong it is', async () => {
    await setUp(affineModel({ scale: 3, bias: 0 }), affineSample(3, 0));
    runtime.direct(model, policy({ action: 'shadow', share: 1 }));
    for (const x of [1, 2, 1, 2]) {
      const before = recorder.shadows.length;
      expect((await ask(undefined, x)).target.version).toBe(1);
      await until('the comparison', () => recorder.shadows.length > before);
    }
    // 2x + 1 and 3x agree at x = 1 alone.
    expect(recorder.shadows.map(({ result }) => result.agrees)).toEqual([true, false, true, false]);
    expect(recorder.shadows[1]?.result.maxError).toBeCloseTo(1);
    expect(recorder.shadows.every(({ target, result }) => target.role === 'shadow' && result.cost > 0)).toBe(true);
  });

  test('a shadow that is busy is left out and counted, and nobody waits for it', async () => {
    await setUp(loopModel({ iterations: 400_000 }), {
      inputs: { x: fp32([1, 4], [1, 1, 1, 1]) },
      outputs: { y: fp32([1, 4], [1, 1, 1, 1]) },
    });
    runtime.direct(model, policy({ action: 'shadow', share: 1 }));
    const slowest = [];
    for (let i = 0; i < 20; i++) {
      const began = performance.now();
      await ask();
      slowest.push(performance.now() - began);
    }
    await until('all to be accounted for', () => recorder.shadows.length + recorder.dropped === 20);
    expect(recorder.dropped).toBeGreaterThan(10);
    const cost = Math.min(...recorder.shadows.map(({ result }) => result.cost));
    expect(slowest.toSorted((a, b) => a - b)[10]).toBeLessThan(cost);
  });

  test('a shadow that cannot run the request fails alone', async () => {
    recorder = new MemoryRecorder();
    runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder, logger: silentLogger });
    await runtime.start();
    const int64 = (value: number) => ({
      datatype: 'INT64' as const,
      shape: [1],
      data: new Uint8Array(BigInt64Array.of(BigInt(value)).buffer),
    });
    const options = {
      inputs: [{ name: 'index', datatype: 'INT64' as const, shape: [-1] }],
      outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [-1] }],
      samples: [{ inputs: { index: int64(0) }, outputs: { y: fp32([1], [10]) } }],
    };
    await runtime.load(await writeServable(tableModel(), { ...options, version: 1 }));
    await runtime.load(await writeServable(tableModel({ table: [10, 20] }), { ...options, version: 2 }));
    runtime.route(model, old);
    runtime.direct(model, policy({ action: 'shadow', share: 1 }));
    const reply = await runtime.infer({ model, inputs: { index: int64(3) } });
    expect(numbersOf(reply.outputs['y'])).toEqual([40]);
    await until('the failure to be counted', () => recorder.failures.length > 0);
    expect(recorder.failures).toMatchObject([{ target: { version: 2, role: 'shadow' }, code: 'INFERENCE_RUN_FAILED' }]);
  });

  test('golden samples are run again in line with requests', async () => {
    await setUp(affineModel());
    const [result] = await Promise.all([runtime.recheck(model, old), ask(), ask()]);
    expect(result).toEqual({ run: 1, wrong: 0, reason: undefined });
    expect(recorder.rechecks).toHaveLength(1);
    await expect(runtime.recheck(model, versionNumber(9))).rejects.toMatchObject({ code: 'INFERENCE_VERSION_UNKNOWN' });
  });
});
