import { afterEach, describe, expect, test } from 'vitest';
import { planPlacement, type Verdict } from '#agent/inference/decide/placement.js';
import { PlacementMemory, placementKey } from '#agent/inference/placement/placement-memory.js';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { silentLogger } from '#shared/kernel/logger.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import { coded } from '../../kit/coded.js';
import { type FakeBehaviour, FakeInstance } from '../../kit/fake-instance.js';
import { fp32, MemoryRecorder, memoryKeyValue, writeServable, X, Y } from '../../kit/servables.js';
import { recordingLogger } from '../../kit/recorder.js';

const sample = { inputs: { x: fp32([1, 4], [1, 2, 3, 4]) }, outputs: { y: fp32([1, 4], [1, 2, 3, 4]) } };
const wrong = (): NamedTensors => ({ y: fp32([1, 4], [0, 0, 0, 0]) });
const open: InferenceRuntime[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((runtime) => runtime.close()));
});

/** A device whose providers behave as told; lists what was tried. */
function device(providers: Readonly<Record<string, Partial<FakeBehaviour>>>, store = memoryKeyValue()) {
  const tried: FakeInstance[] = [];
  const runtime = createInferenceRuntime({
    store,
    recorder: new MemoryRecorder(),
    logger: silentLogger,
    startInstance: () => {
      const instance = new FakeInstance((_, provider) => ({ inputs: [X], outputs: [Y], ...providers[provider] }));
      tried.push(instance);
      return instance;
    },
  });
  open.push(runtime);
  return { runtime, store, tried: () => tried.map((instance) => instance.provider).filter(Boolean), instances: tried };
}

const spec = (version = 1) => writeServable(Uint8Array.of(1, 2, 3), { version, providers: ['gpu', 'npu', 'cpu'], samples: [sample] });

describe('an accelerator is used only where it is right and faster (R6)', () => {
  test.each<[string, Readonly<Record<string, Partial<FakeBehaviour>>>, string]>([
    ['faster and right', { cpu: { millis: 10 }, gpu: { millis: 2 }, npu: { millis: 5 } }, 'gpu'],
    ['faster and wrong', { cpu: { millis: 10 }, gpu: { millis: 1, run: wrong }, npu: { millis: 20 } }, 'cpu'],
    ['right and slower', { cpu: { millis: 10 }, gpu: { millis: 12 }, npu: { millis: 9.5 } }, 'cpu'],
    [
      'not there',
      { cpu: { millis: 10 }, gpu: { onLoad: new SkerryError('INFERENCE_PROVIDER_UNAVAILABLE', 'no') }, npu: { onLoad: 'die' } },
      'cpu',
    ],
    [
      'all there is that works',
      { cpu: { onLoad: new SkerryError('INFERENCE_OUT_OF_MEMORY', 'no') }, gpu: { millis: 50 }, npu: { run: wrong } },
      'gpu',
    ],
  ])('%s', async (_, providers, chosen) => {
    const { runtime, tried, instances } = device(providers);
    const status = await runtime.load(await spec());
    expect(status.provider).toBe(chosen);
    expect(tried()).toEqual(['cpu', 'gpu', 'npu']);
    const alive = instances.filter((instance) => !instance.closed && instance.provider === chosen);
    expect(alive, 'only the chosen one is left').toHaveLength(1);
  });

  test('what was measured is remembered, what was wrong is not tried again', async () => {
    const store = memoryKeyValue();
    const providers = { cpu: { millis: 10 }, gpu: { millis: 2 }, npu: { millis: 1, run: wrong } };
    await device(providers, store).runtime.load(await spec());
    const again = device(providers, store);
    expect((await again.runtime.load(await spec())).provider).toBe('gpu');
    expect(again.tried()).toEqual(['gpu']);
  });

  test('a provider that took the process with it is not tried again, though it would be fast', async () => {
    const store = memoryKeyValue();
    const first = device({ cpu: { millis: 10 }, gpu: { millis: 2 }, npu: { millis: 20 } }, store);
    await first.runtime.load(await spec());
    // The process "died" while gpu was being tried: what the store held at that moment.
    store.entries.set(
      'inference.placement',
      store.entries.get('inference.placement')?.replaceAll(/\{"kind":"right","millis":2\}/g, '{"kind":"trying"}') ?? '',
    );
    const second = device({ cpu: { millis: 10 }, gpu: { millis: 2 }, npu: { millis: 20 } }, store);
    expect((await second.runtime.load(await spec())).provider).toBe('cpu');
    expect(second.tried()).not.toContain('gpu');
  });

  test('the mark is written before the provider is touched', async () => {
    const store = memoryKeyValue();
    const seen: (string | undefined)[] = [];
    const onTouch = () => seen.push(store.entries.get('inference.placement'));
    const { runtime } = device({ cpu: {}, npu: {}, gpu: { onTouch } }, store);
    await runtime.load(await spec());
    expect(seen[0]).toContain('trying');
  });

  test('when the remembered one fails now, the others are tried', async () => {
    const store = memoryKeyValue();
    await device({ cpu: { millis: 10 }, gpu: { millis: 2 }, npu: { millis: 20 } }, store).runtime.load(await spec());
    const broken = device(
      { cpu: { millis: 10 }, gpu: { onLoad: new SkerryError('INFERENCE_OUT_OF_MEMORY', 'no') }, npu: { millis: 20 } },
      store,
    );
    expect((await broken.runtime.load(await spec())).provider).toBe('cpu');
  });

  test('when nothing works, the reason is the one of the CPU, and everything tried is listed', async () => {
    const { runtime, instances } = device({ cpu: { run: wrong }, gpu: { run: wrong }, npu: { onLoad: 'die' } });
    const error: unknown = await runtime.load(await spec()).catch((cause: unknown) => cause);
    expect(error).toEqual(coded('INFERENCE_GOLDEN_MISMATCH', 'fp32 on cpu'));
    expect(error).toMatchObject({ details: { failures: [{ provider: 'cpu' }, { provider: 'gpu' }, { provider: 'npu' }] } });
    expect(instances.filter((instance) => instance.provider !== 'npu').every((instance) => instance.closed)).toBe(true);
  });
});

describe('the plan', () => {
  const digest = (async () => (await spec()).variants)();

  test('leaves out, with the reason, what cannot run here', async () => {
    const [variant] = await digest;
    const variants = [
      { ...variant!, memoryBytes: 1_000 },
      { ...variant!, name: 'int8', providers: ['cpu', 'cuda'] },
    ];
    const plan = planPlacement(variants, ['cpu', 'gpu'], 500, () => undefined);
    expect(plan.candidates.map((one) => [one.variant.name, one.provider])).toEqual([['int8', 'cpu']]);
    expect(plan.excluded.map((one) => one.provider)).toEqual(['gpu', 'npu', 'cpu', 'cuda']);
  });

  test('never leaves out the CPU for what happened before', async () => {
    const verdict: Verdict = { kind: 'trying' };
    const plan = planPlacement(await digest, ['cpu', 'gpu', 'npu'], undefined, () => verdict);
    expect(plan.candidates.map((one) => one.provider)).toEqual(['cpu']);
  });

  test('nothing at all: said as such', async () => {
    const { runtime } = device({});
    const none = await writeServable(Uint8Array.of(1), { providers: ['tpu'], samples: [sample] });
    await expect(runtime.load(none)).rejects.toEqual(coded('INFERENCE_NO_PLACEMENT'));
  });
});

describe('placement memory', () => {
  test('survives, is bounded, and starts anew with a warning when it cannot be read', async () => {
    const store = memoryKeyValue();
    const memory = await PlacementMemory.open(store, silentLogger);
    for (let index = 0; index < 600; index++) await memory.remember(`k${index}`, { kind: 'right', millis: index });
    const again = await PlacementMemory.open(store, silentLogger);
    expect([again.recall('k599'), again.recall('k0')]).toEqual([{ kind: 'right', millis: 599 }, undefined]);
    store.entries.set('inference.placement', '{"entries":[["k",{"kind":"???"}]]}');
    const { logger, lines } = recordingLogger();
    expect((await PlacementMemory.open(store, logger)).recall('k')).toBeUndefined();
    expect(lines).toMatchObject([{ level: 'warn' }]);
  });

  test('the key changes with whatever could change the outcome', async () => {
    const [variant] = await (async () => (await spec()).variants)();
    const key = (provider: string, fingerprint: string, version: string) =>
      placementKey({ variant: variant!, provider }, fingerprint, version);
    const keys = [key('gpu', 'a', '1'), key('npu', 'a', '1'), key('gpu', 'b', '1'), key('gpu', 'a', '2')];
    expect(new Set(keys).size).toBe(4);
  });
});
