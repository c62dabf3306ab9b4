import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { InferReply } from '#agent/inference/contract.js';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import type { InferenceSettings } from '#agent/inference/settings.js';
import { digestOfInputs } from '#agent/inference/faults/input-digest.js';
import { NativeWitness } from '#agent/inference/faults/native-witness.js';
import { WitnessFile } from '#agent/inference/faults/witness-file.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { bytesOf } from '#shared/tensor/elements.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import { crashMissing, crashModel } from '../../e2e/crash-model.js';
import { coded } from '../../kit/coded.js';
import { affineModel, loopModel, turnsModel } from '../../kit/onnx-models.js';
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
import { tempFolder } from '../../kit/temp-folder.js';
import { until } from '../../kit/until.js';

const probe = mkdtempSync(path.join(os.tmpdir(), 'skerry-probe-'));
const missing = await crashMissing(probe);
rmSync(probe, { recursive: true });

const I64: Omit<TensorSpec, 'name'> = { datatype: 'INT64', shape: [-1, 4] };
const SIGNATURE = { inputs: [{ name: 'x', ...I64 }], outputs: [{ name: 'y', ...I64 }] };
const int64s = (values: readonly number[]): NamedTensors => ({
  x: { datatype: 'INT64', shape: [values.length / 4, 4], data: bytesOf(BigInt64Array.from(values, BigInt)) },
});
const HARMLESS = [1, 2, 3, 4];
/** The model divides where an element is 7. */
const deadly = (last: number): NamedTensors => int64s([1, 7, 3, last]);
const V1 = versionNumber(1);
const DIVIDES = modelName('divides');
const AFFINE = modelName('affine');

const negated: SpecOptions['samples'] = [{ inputs: int64s(HARMLESS), outputs: { y: int64s(HARMLESS.map((value) => -value))['x']! } }];

async function runtimeWith(settings: Partial<InferenceSettings> = {}, store = memoryKeyValue()) {
  const recorder = new MemoryRecorder();
  const crashes: string[] = [];
  const runtime = createInferenceRuntime({
    store,
    recorder,
    logger: silentLogger,
    settings: { isolation: 'process', ...settings },
    onCrash: ({ model }, { code }) => crashes.push(`${model} ${code}`),
  });
  onTestFinished(() => runtime.close());
  await runtime.start();
  return { runtime, recorder, crashes, store };
}

async function serve(runtime: InferenceRuntime, bytes: Uint8Array, options: SpecOptions = {}): Promise<void> {
  const spec = await writeServable(bytes, options);
  await runtime.load(spec);
  runtime.route(spec.model, spec.version);
}

const divides = (runtime: InferenceRuntime, options: SpecOptions = {}): Promise<void> =>
  serve(runtime, crashModel(), { model: 'divides', ...SIGNATURE, samples: negated, ...options });
const ask = (runtime: InferenceRuntime, inputs: NamedTensors): Promise<InferReply> => runtime.infer({ model: DIVIDES, inputs });
const firstOf = (reply: InferReply): number => Number(new BigInt64Array(reply.outputs['y']!.data.slice().buffer)[0]);

/** Processes that this one started to run models. */
function runners(): number[] {
  return readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number)
    .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('instance-runner'));
}

describe.skipIf(missing !== undefined)(`3: native code crashes${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  test('one model is out for a moment, its request is refused from then on, and no other model notices', async () => {
    const { runtime, recorder, crashes } = await runtimeWith();
    await divides(runtime);
    await serve(runtime, affineModel());
    expect(runners()).toHaveLength(2);
    const others: Promise<InferReply>[] = [];
    const crash = ask(runtime, deadly(4)).catch((cause: unknown) => cause);
    for (let i = 0; i < 20; i++) others.push(runtime.infer({ model: AFFINE, inputs: { x: fp32([1, 4], [i, 2, 3, 4]) } }));
    expect(await crash).toEqual(coded('INFERENCE_CRASHED', 'SIGFPE'));
    const answers = await Promise.all(others);
    expect(answers.map(({ outputs }) => numbersOf(outputs['y'])[0])).toEqual(answers.map((_, i) => i * 2 + 1));
    // Waits for the new process instead of failing.
    expect(firstOf(await ask(runtime, int64s(HARMLESS)))).toBe(-1);
    await expect(ask(runtime, deadly(4))).rejects.toEqual(coded('INFERENCE_CRASHED_BEFORE', 'divides@1 crashed on these inputs before'));
    expect(recorder.crashes).toMatchObject([{ model: 'divides', version: 1 }]);
    expect(crashes).toEqual(['divides INFERENCE_CRASHED']);
    expect(runtime.list().map(({ state }) => state)).toEqual(['available', 'available']);
  });

  test('a request in a batch takes no neighbour with it', async () => {
    const { runtime } = await runtimeWith();
    await divides(runtime, { batching: { maxBatchSize: 8, preferredSizes: [3], maxDelayMicros: 200_000 } });
    // The first requests run by themselves.
    for (let i = 0; i < 8; i++) await ask(runtime, int64s(HARMLESS));
    const outcomes = await Promise.allSettled([
      ask(runtime, int64s(HARMLESS)),
      ask(runtime, deadly(4)),
      ask(runtime, int64s([9, 9, 9, 9])),
    ]);
    expect(outcomes).toMatchObject([{ status: 'fulfilled' }, { reason: coded('INFERENCE_CRASHED') }, { status: 'fulfilled' }]);
    await expect(ask(runtime, deadly(4))).rejects.toEqual(coded('INFERENCE_CRASHED_BEFORE'));
  });

  test('different requests count against the version, until it is out of service', async () => {
    const { runtime, recorder } = await runtimeWith({ restartLimit: 2 });
    await divides(runtime);
    for (let i = 0; i < 3; i++) await expect(ask(runtime, deadly(10 + i))).rejects.toEqual(coded('INFERENCE_CRASHED'));
    await until('the version to be out of service', () => runtime.list()[0]?.state === 'failed');
    expect(recorder.crashes).toHaveLength(3);
  });

  test('what is refused, and that the version runs by itself, outlives the agent', async () => {
    const { runtime, store } = await runtimeWith();
    await divides(runtime);
    await ask(runtime, deadly(4)).catch(() => undefined);
    await runtime.close();
    const { runtime: again } = await runtimeWith({ isolation: 'thread' }, store);
    await divides(again);
    expect(runners()).toHaveLength(1);
    await expect(ask(again, deadly(4))).rejects.toEqual(coded('INFERENCE_CRASHED_BEFORE'));
    expect(firstOf(await ask(again, int64s(HARMLESS)))).toBe(-1);
  });

  test('a crash at its golden samples fails the load, and nothing else', async () => {
    const { runtime } = await runtimeWith();
    await serve(runtime, affineModel());
    const samples = [{ inputs: deadly(4), outputs: { y: deadly(4)['x']! } }];
    await expect(divides(runtime, { samples })).rejects.toEqual(coded('INFERENCE_CRASHED', 'golden sample'));
    await expect(runtime.infer({ model: AFFINE, inputs: { x: fp32([1, 4], [1, 2, 3, 4]) } })).resolves.toBeDefined();
  });
});

describe('3: a process of a model is ended by a signal', () => {
  const TURNS = modelName('turns');
  const turns = (count: number, value: number): NamedTensors => ({
    turns: { datatype: 'INT64', shape: [], data: bytesOf(BigInt64Array.of(BigInt(count))) },
    x: fp32([1, 4], [value, 2, 3, 4]),
  });
  const FOR_EVER = 2 ** 50;
  const takesTurns = (runtime: InferenceRuntime): Promise<void> => {
    const inputs = [
      { name: 'turns', datatype: 'INT64', shape: [] },
      { name: 'x', datatype: 'FP32', shape: [-1, 4] },
    ] as const;
    return serve(runtime, turnsModel(), { model: 'turns', inputs, samples: [{ inputs: turns(1, 1), outputs: { y: turns(1, 1)['x']! } }] });
  };
  const run = (runtime: InferenceRuntime, count: number, value: number, timeout?: number): Promise<InferReply> =>
    runtime.infer({ model: TURNS, inputs: turns(count, value), ...(timeout === undefined ? {} : { timeout }) });
  /** Ends the process of the model while a request that never ends is in it. */
  const endedBy = async (runtime: InferenceRuntime, signal: NodeJS.Signals, value: number): Promise<unknown> => {
    await run(runtime, 1, 0);
    const outcome = run(runtime, FOR_EVER, value).catch((cause: unknown) => cause);
    process.kill(runners()[0]!, signal);
    return outcome;
  };

  test('each fault is told as one; the same inputs are refused', async () => {
    const { runtime } = await runtimeWith({ restartLimit: 10 });
    await takesTurns(runtime);
    for (const [index, signal] of (['SIGFPE', 'SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGILL'] as const).entries()) {
      expect(await endedBy(runtime, signal, index)).toEqual(coded('INFERENCE_CRASHED', signal));
      await expect(run(runtime, FOR_EVER, index)).rejects.toEqual(coded('INFERENCE_CRASHED_BEFORE', signal));
    }
  });

  test('one that was killed, as when memory runs out, says nothing against a request the first time', async () => {
    const { runtime } = await runtimeWith();
    await takesTurns(runtime);
    for (let time = 0; time < 2; time++) expect(await endedBy(runtime, 'SIGKILL', 1)).toEqual(coded('INFERENCE_INSTANCE_DIED', 'killed'));
    await expect(run(runtime, FOR_EVER, 1)).rejects.toEqual(coded('INFERENCE_CRASHED_BEFORE'));
    await expect(run(runtime, 1, 1)).resolves.toBeDefined();
  });

  test('7: one that does not come back is killed and replaced; only the second time is the version out of service', async () => {
    const { runtime, recorder } = await runtimeWith({ predictionLimit: 400, loadLimit: 60_000 });
    await takesTurns(runtime);
    // The caller's timeout is the limit where it is longer: slow is not stuck.
    const slow = await run(runtime, 1_000_000, 1, 60_000);
    expect(slow.timing.compute).toBeGreaterThan(400);
    await expect(run(runtime, FOR_EVER, 1)).rejects.toEqual(coded('INFERENCE_TIMEOUT', 'while the model ran'));
    await until('a new process', () => recorder.crashes.length === 1);
    expect(runtime.list()[0]?.state).toBe('available');
    await run(runtime, 1, 2, 60_000);
    await expect(run(runtime, FOR_EVER, 3)).rejects.toEqual(coded('INFERENCE_TIMEOUT'));
    await until('the version to be out of service', () => runtime.list()[0]?.state === 'failed');
    expect(runtime.stuckThreads()).toBe(0);
    await until('its process to be gone', () => runners().length === 0);
  });
});

describe('3: an agent that ended without order', () => {
  test('knows who was in native code, once, where the system is the same', async () => {
    const folder = await tempFolder();
    const env = { RUNTIME_DIRECTORY: folder };
    const first = WitnessFile.open(folder, silentLogger, env)!;
    expect(first.suspects).toBeUndefined();
    const [idle, busy, other] = [first.take()!, first.take()!, first.take()!];
    const [m1, m2] = [1, 2].map((version) => ({ model: DIVIDES, version: versionNumber(version) }));
    NativeWitness.open(idle, m1!)?.entered('load');
    NativeWitness.open(idle, m1!)?.left();
    NativeWitness.open(busy, m2!)?.entered('run', deadly(4));
    expect(NativeWitness.open({ ...other, file: '/nowhere/at/all' }, m1!)).toBeUndefined();
    const second = WitnessFile.open(folder, silentLogger, env)!;
    expect(second.suspects).toEqual([{ ...m2, work: 'run', digest: digestOfInputs(deadly(4)) }]);
    expect(WitnessFile.open(folder, silentLogger, env)?.suspects).toEqual([]);
    second.close();
    expect(WitnessFile.open(folder, silentLogger, env)?.suspects).toBeUndefined();
  });
});

describe('3: where native code is witnessed', () => {
  test('in the data folder, which a container keeps, unless a service has a folder in memory; in /dev/shm where neither can be written', async () => {
    const [data, runtime] = [await tempFolder(), await tempFolder()];
    const folderOf = (dataFolder: string, env: NodeJS.ProcessEnv): string | undefined => {
      const witness = WitnessFile.open(dataFolder, silentLogger, env);
      const file = witness?.take()?.file;
      witness?.close();
      return file === undefined ? undefined : path.dirname(file);
    };
    expect(folderOf(data, {})).toBe(data);
    expect(folderOf(data, { RUNTIME_DIRECTORY: `${runtime}:/other` })).toBe(runtime);
    expect(folderOf(path.join(data, 'absent'), {})).toBe('/dev/shm');
  });
});

test('7: a thread that does not come back is given up, and a process takes its place', async () => {
  const { runtime } = await runtimeWith({ isolation: 'thread', predictionLimit: 300, loadLimit: 60_000 });
  const x = { x: fp32([1, 4], [1, 2, 3, 4]) };
  const spec = await writeServable(loopModel({ iterations: 3_000_000 }), { model: 'loops', samples: [] });
  await runtime.load(spec);
  runtime.route(spec.model, spec.version);
  await expect(runtime.infer({ model: spec.model, inputs: x })).rejects.toEqual(coded('INFERENCE_TIMEOUT', 'while the model ran'));
  await until('a process in its place', () => runners().length === 1);
  expect(runtime.stuckThreads()).toBe(1);
  await expect(runtime.infer({ model: spec.model, inputs: x, timeout: 60_000 })).resolves.toBeDefined();
});

test('3: memory of a process of its own is measured, and not that of the agent', async () => {
  const { runtime } = await runtimeWith();
  await serve(runtime, affineModel());
  expect(runtime.list()[0]?.memoryBytes).toBeGreaterThan(10 * 1024 * 1024);
  await runtime.unload(AFFINE, V1);
  await until('its process to be gone', () => runners().length === 0);
});
