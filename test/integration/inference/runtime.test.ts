import { afterEach, describe, expect, test } from 'vitest';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import type { InferenceSettings } from '#agent/inference/settings.js';
import { type Clock, systemClock } from '#shared/kernel/clock.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { coded } from '../../kit/coded.js';
import { affineModel, loopModel, partlyWrongModel, randomModel } from '../../kit/onnx-models.js';
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
import { SILERO, sileroBytes, sileroInputs, sileroSample } from '../../kit/silero.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const open: InferenceRuntime[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((runtime) => runtime.close()));
});

async function runtimeWith(settings: Partial<InferenceSettings> = {}, clock: Clock = systemClock) {
  const recorder = new MemoryRecorder();
  const store = memoryKeyValue();
  const runtime = createInferenceRuntime({ store, recorder, logger: silentLogger, settings, clock });
  await runtime.start();
  open.push(runtime);
  return { runtime, recorder, store };
}

const AFFINE = modelName('affine');
const V1 = versionNumber(1);
const V2 = versionNumber(2);
const x = { x: fp32([2, 4], [1, 2, 3, 4, 5, 6, 7, 8]) };

describe('a servable in real workers', () => {
  test('loads, is right, serves when routed, and goes', async () => {
    const { runtime, recorder } = await runtimeWith();
    const states: string[] = [];
    runtime.onChange((status) => states.push(status.state));
    const status = await runtime.load(await writeServable(affineModel()));
    expect(status).toMatchObject({ state: 'available', variant: 'fp32', provider: 'cpu', inFlight: 0 });
    await expect(runtime.infer({ model: AFFINE, inputs: x })).rejects.toEqual(coded('INFERENCE_NOT_READY'));

    runtime.route(AFFINE, V1);
    const reply = await runtime.infer({ model: AFFINE, inputs: x });
    expect(numbersOf(reply.outputs['y'])).toEqual([3, 5, 7, 9, 11, 13, 15, 17]);
    expect(reply.outputs['y']?.shape).toEqual([2, 4]);
    expect(x.x.data.byteLength, 'the caller keeps its buffer').toBe(32);
    expect(recorder.successes).toHaveLength(1);

    await runtime.unload(AFFINE, V1);
    expect(states).toEqual(['loading', 'warming', 'available', 'draining', 'unloaded']);
    expect(runtime.list()).toEqual([]);
    expect(runtime.routed(AFFINE)).toBeUndefined();
    await expect(runtime.infer({ model: AFFINE, inputs: x })).rejects.toEqual(coded('INFERENCE_MODEL_UNKNOWN'));
  });

  test('runs a real model: Silero VAD, whose state goes round', async () => {
    const { runtime } = await runtimeWith();
    const inputs = sileroInputs(new Float32Array(512));
    const spec = await writeServable(await sileroBytes(), { ...SILERO, ...sileroSample(inputs) });
    await runtime.load(spec);
    const first = await runtime.infer({ model: spec.model, version: V1, inputs });
    const state = first.outputs['stateN'];
    expect(state?.shape).toEqual([2, 1, 128]);
    const second = await runtime.infer({ model: spec.model, version: V1, inputs: { ...inputs, state: state! }, outputs: ['output'] });
    expect(Object.keys(second.outputs)).toEqual(['output']);
    expect(numbersOf(second.outputs['output'])[0]).toBeGreaterThan(0);
  });

  test('refuses wrong inputs before the model sees them', async () => {
    const { runtime, recorder } = await runtimeWith();
    await runtime.load(await writeServable(affineModel()));
    const infer = (inputs: Parameters<typeof runtime.infer>[0]['inputs'], outputs?: string[]) =>
      runtime.infer({ model: AFFINE, version: V1, inputs, ...(outputs === undefined ? {} : { outputs }) });
    await expect(infer({ z: x.x })).rejects.toEqual(coded('TENSOR_UNKNOWN', 'expected x FP32 [-1,4]'));
    await expect(infer({})).rejects.toEqual(coded('TENSOR_MISSING'));
    await expect(infer({ x: fp32([1, 3], [1, 2, 3]) })).rejects.toEqual(coded('TENSOR_SHAPE'));
    await expect(infer({ x: { ...x.x, datatype: 'INT32' } })).rejects.toEqual(coded('TENSOR_DATATYPE'));
    await expect(infer(x, ['z'])).rejects.toEqual(coded('INFERENCE_OUTPUT_UNKNOWN', 'y'));
    await expect(runtime.infer({ model: AFFINE, version: V2, inputs: x })).rejects.toEqual(coded('INFERENCE_VERSION_UNKNOWN'));
    expect(recorder.failures.map((failure) => failure.target?.version)).toEqual([1, 1, 1, 1, 1, undefined]);
  });

  test('an empty batch, on which the LSTM of ONNX Runtime ends the process, does not reach it', async () => {
    const { runtime, recorder } = await runtimeWith();
    const inputs = sileroInputs(new Float32Array(512));
    const spec = await writeServable(await sileroBytes(), { ...SILERO, ...sileroSample(inputs) });
    await runtime.load(spec);
    const empty = { ...inputs, input: fp32([0, 512], []), state: fp32([2, 0, 128], []) };
    const asked = { model: spec.model, version: V1, inputs: empty };
    await expect(runtime.infer(asked)).rejects.toEqual(coded('TENSOR_EMPTY', 'input "input" has shape [0,512]'));
    expect(recorder.failures.map(({ code }) => code)).toEqual(['TENSOR_EMPTY']);
    await expect(runtime.infer({ ...asked, inputs })).resolves.toMatchObject({ target: { version: 1 } });
  });

  test('a size of 0 that a golden sample has is served, there and nowhere else', async () => {
    const { runtime } = await runtimeWith();
    const none = { inputs: { x: fp32([0, 4], []) }, outputs: { y: fp32([0, 4], []) } };
    const any = { inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1, -1] }] };
    await runtime.load(await writeServable(affineModel(), { ...any, samples: [affineSample(), none] }));
    const infer = (shape: readonly number[]) => runtime.infer({ model: AFFINE, version: V1, inputs: { x: fp32(shape, []) } });
    expect((await infer([0, 4])).outputs['y']).toMatchObject({ shape: [0, 4] });
    await expect(infer([2, 0])).rejects.toEqual(coded('TENSOR_EMPTY', '[2,0]'));
    await expect(infer([0, 0])).rejects.toEqual(coded('TENSOR_EMPTY', '[0,0]'));
  });

  test('a wrong version is refused with sample, output and error, and leaves nothing running', async () => {
    const { runtime } = await runtimeWith();
    const load = runtime.load(await writeServable(affineModel({ bias: 1.5 }), { samples: [affineSample(), affineSample()] }));
    const error = await load.then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error).toEqual(coded('INFERENCE_GOLDEN_MISMATCH', 'sample-0'));
    expect(error).toMatchObject({ details: { sample: 'sample-0', output: 'y', maxError: 0.5 } });
    expect(runtime.list()).toMatchObject([{ state: 'failed', inFlight: 0 }]);
    await expect(runtime.infer({ model: AFFINE, version: V1, inputs: x })).rejects.toEqual(coded('INFERENCE_SERVABLE_FAILED'));
    // The same version, corrected, is loaded over the failed one.
    await expect(runtime.load(await writeServable(affineModel()))).resolves.toMatchObject({ state: 'available' });
  });

  test('outputs that are not numbers do not pass for right', async () => {
    const { runtime } = await runtimeWith();
    const inputs = { x: fp32([1, 4], [0, 2, 0, 0]) };
    const spec = await writeServable(partlyWrongModel(), { samples: [{ inputs, outputs: { y: fp32([1, 4], [1, 1, 1, 1]) } }] });
    await expect(runtime.load(spec)).rejects.toEqual(coded('INFERENCE_GOLDEN_MISMATCH'));
    await expect(runtime.load(await writeServable(randomModel(), { version: 2 }))).rejects.toEqual(coded('INFERENCE_GOLDEN_MISMATCH'));
  });

  test('values that are not finite count as failed, except those that golden samples show in the output', async () => {
    const { runtime, recorder } = await runtimeWith();
    const finite = { inputs: { x: fp32([1, 4], [0, 0, 0, 0]) }, outputs: { y: fp32([1, 4], [1, 1, 1, 1]) } };
    const odd = { inputs: { x: fp32([1, 4], [0, 2, 0, 0]) }, outputs: { y: fp32([1, 4], [1, NaN, 1, 1]) } };
    await runtime.load(await writeServable(partlyWrongModel(), { samples: [finite] }));
    await runtime.load(await writeServable(partlyWrongModel(), { samples: [finite, odd], version: 2 }));
    for (const version of [V1, V2]) {
      for (const value of [0.5, 3, -Infinity])
        await runtime.infer({ model: AFFINE, version, inputs: { x: fp32([1, 4], [0, 0, 0, value]) } });
    }
    expect(recorder.successes.map(({ answer }) => answer?.notFinite)).toEqual([false, true, true, false, false, true]);
  });

  test.each([
    ['no model at all', new TextEncoder().encode('hello'), 'INFERENCE_MODEL_INVALID'],
    ['an empty file', new Uint8Array(), 'INFERENCE_MODEL_INVALID'],
    ['a model cut off', affineModel().subarray(0, 40), 'INFERENCE_MODEL_INVALID'],
    ['another signature', affineModel({ width: 5 }), 'INFERENCE_SIGNATURE_MISMATCH'],
  ] as const)('a file that is %s is refused as such', async (_, bytes, code) => {
    const { runtime } = await runtimeWith();
    await expect(runtime.load(await writeServable(bytes))).rejects.toEqual(coded(code));
  });

  test('a golden sample that lacks an output is no sample', async () => {
    const { runtime } = await runtimeWith();
    const spec = await writeServable(affineModel(), { samples: [{ inputs: affineSample().inputs, outputs: {} }] });
    await expect(runtime.load(spec)).rejects.toEqual(coded('INFERENCE_GOLDEN_INVALID', 'y'));
  });

  test('a run that never ends is given up; its requests and its load fail', async () => {
    const clock = new VirtualClock();
    const { runtime } = await runtimeWith({ loadLimit: 300 }, clock);
    const running = new Promise<void>((resolve) => runtime.onChange(({ state }) => state === 'warming' && resolve()));
    const load = runtime.load(await writeServable(loopModel({ iterations: 20_000_000 }), { samples: [loopSample()] }));
    const outcome = load.catch((cause: unknown) => cause);
    await running;
    await clock.advance(299);
    expect(runtime.stuckThreads()).toBe(0);
    await clock.advance(1);
    expect(await outcome).toEqual(coded('INFERENCE_STUCK'));
    expect(runtime.stuckThreads()).toBe(1);
  });

  test('a request past its time is answered, and the next one served', async () => {
    const clock = new VirtualClock();
    const { runtime } = await runtimeWith({}, clock);
    const spec = await writeServable(loopModel({ iterations: 1_000_000 }), { samples: [loopSample()] });
    await runtime.load(spec);
    const slow = runtime.infer({ model: AFFINE, version: V1, inputs: loopSample().inputs, timeout: 20 });
    const queued = runtime.infer({ model: AFFINE, version: V1, inputs: loopSample().inputs, timeout: 20 });
    const outcomes = Promise.allSettled([slow, queued]);
    await clock.advance(20);
    expect(await outcomes).toMatchObject([
      { reason: coded('INFERENCE_TIMEOUT_SHORT', 'while the model ran') },
      { reason: coded('INFERENCE_TIMEOUT_SHORT', 'waiting') },
    ]);
    await expect(runtime.infer({ model: AFFINE, version: V1, inputs: loopSample().inputs })).resolves.toBeDefined();
  });

  test('loading can be cancelled and unloaded at any moment', async () => {
    const { runtime } = await runtimeWith();
    const spec = await writeServable(affineModel());
    const cancel = new AbortController();
    const load = runtime.load(spec, cancel.signal);
    cancel.abort();
    await expect(load).rejects.toEqual(coded('ABORTED'));
    const loading = new Promise<void>((resolve) => runtime.onChange(({ state }) => state === 'loading' && resolve()));
    const again = runtime.load(spec).catch((cause: unknown) => cause);
    await loading;
    await runtime.unload(spec.model, spec.version);
    await expect(again).resolves.toEqual(coded('ABORTED'));
    expect(runtime.list()).toEqual([]);
  });
});

test('batched requests get what each would have got alone', async () => {
  const { runtime, recorder } = await runtimeWith();
  await runtime.load(await writeServable(affineModel(), { batching: { maxBatchSize: 8, maxDelayMicros: 2_000 } }));
  runtime.route(AFFINE, V1);
  const requests = Array.from({ length: 50 }, (_, index) => Array.from({ length: (1 + (index % 3)) * 4 }, (__, at) => index + at));
  const replies = await Promise.all(requests.map((row) => runtime.infer({ model: AFFINE, inputs: { x: fp32([row.length / 4, 4], row) } })));
  expect(replies.map((reply) => numbersOf(reply.outputs['y']))).toEqual(requests.map((row) => row.map((value) => value * 2 + 1)));
  expect(new Set(recorder.successes.map((one) => one.timing.compute)).size, 'several shared a run').toBeLessThan(50);
});

test('the worker that described the runtime becomes the first instance', async () => {
  const { runtime } = await runtimeWith();
  expect(await runtime.describe()).toMatchObject({
    name: 'onnxruntime',
    version: '1.30.0',
    providers: expect.arrayContaining(['cpu']) as unknown,
  });
  await runtime.load(await writeServable(affineModel()));
  await expect(runtime.infer({ model: AFFINE, version: V1, inputs: x })).resolves.toBeDefined();
});

describe('switching versions', () => {
  test('no request fails while versions change under a steady stream', async () => {
    const { runtime, recorder } = await runtimeWith({ instances: 2 });
    const specs = await Promise.all(
      [1, 2].map((version) => writeServable(affineModel({ bias: version }), { version, samples: [affineSample(2, version)] })),
    );
    const [first, second] = specs as [(typeof specs)[0], (typeof specs)[0]];
    await runtime.load(first);
    runtime.route(AFFINE, V1);

    const stop = new AbortController();
    const seen = new Map<number, number>();
    const stream = Array.from({ length: 4 }, async () => {
      while (!stop.signal.aborted) {
        const reply = await runtime.infer({ model: AFFINE, inputs: x });
        expect(numbersOf(reply.outputs['y'])[0]).toBe(2 + reply.target.version);
        seen.set(reply.target.version, (seen.get(reply.target.version) ?? 0) + 1);
      }
    });
    let current = first;
    for (let round = 0; round < 6; round++) {
      const next = current === first ? second : first;
      await runtime.load(next);
      runtime.route(AFFINE, next.version);
      await runtime.unload(AFFINE, current.version);
      current = next;
    }
    stop.abort();
    await Promise.all(stream);
    expect(recorder.failures).toEqual([]);
    expect(seen.get(1)).toBeGreaterThan(0);
    expect(seen.get(2)).toBeGreaterThan(0);
  });
});

function loopSample() {
  const tensor = fp32([1, 4], [1, 2, 3, 4]);
  return { inputs: { x: tensor }, outputs: { y: tensor } };
}
