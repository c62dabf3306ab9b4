import { expect, test } from 'vitest';
import { createInferenceRuntime } from '#agent/inference/runtime.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { coded } from '../../kit/coded.js';
import { FakeInstance } from '../../kit/fake-instance.js';
import { fp32, MemoryRecorder, memoryKeyValue, modelName, versionNumber, writeServable, X, Y } from '../../kit/servables.js';
import { settled, VirtualClock } from '../../kit/virtual-clock.js';

const MODEL = modelName('affine');
const V1 = versionNumber(1);
const inputs = { x: fp32([1, 4], [1, 2, 3, 4]) };
const sample = { inputs, outputs: { y: inputs.x } };

async function setUp(restartLimit: number) {
  const clock = new VirtualClock();
  const made: FakeInstance[] = [];
  let auto = true;
  const recorder = new MemoryRecorder();
  const runtime = createInferenceRuntime({
    store: memoryKeyValue(),
    recorder,
    logger: silentLogger,
    clock,
    random: () => 0.5,
    settings: { restartLimit },
    startInstance: () => {
      const instance = new FakeInstance({ inputs: [X], outputs: [Y] }, auto);
      made.push(instance);
      return instance;
    },
  });
  auto = false;
  await runtime.load(await writeServable(Uint8Array.of(1), { samples: [sample] }));
  runtime.route(MODEL, V1);
  return { clock, made, recorder, runtime };
}

/** Lets a restarted instance read its golden sample from the disk and be adopted. */
async function restarted(clock: VirtualClock, made: readonly FakeInstance[], before: number): Promise<void> {
  while (made.length === before) await clock.advance(100);
  const { promise } = waitFor(() => made.at(-1)?.file !== '');
  await promise;
}

function waitFor(condition: () => boolean): { promise: Promise<void> } {
  const promise = (async () => {
    while (!condition()) await settled();
    for (let turn = 0; turn < 50; turn++) await settled();
  })();
  return { promise };
}

test('a worker that dies fails the request in it; what waits is served by its successor', async () => {
  const { clock, made, recorder, runtime } = await setUp(3);
  const running = runtime.infer({ model: MODEL, inputs });
  const waiting = runtime.infer({ model: MODEL, inputs });
  made[0]?.die();
  await expect(running).rejects.toEqual(coded('INFERENCE_INSTANCE_DIED'));
  await restarted(clock, made, 1);
  await waitFor(() => (made[1]?.runs.length ?? 0) > 0).promise;
  made[1]?.runs[0]?.finish();
  await expect(waiting).resolves.toMatchObject({ target: { version: 1 } });
  expect(runtime.list()).toMatchObject([{ state: 'available' }]);
  expect(recorder.failures).toMatchObject([{ code: 'INFERENCE_INSTANCE_DIED', target: { version: 1 } }]);
  await runtime.close();
});

test('one that dies too often is out of service, says so, and can be unloaded', async () => {
  const { made, runtime } = await setUp(0);
  const states: string[] = [];
  runtime.onChange((status) => states.push(`${status.state} ${status.error?.code ?? ''}`.trim()));
  const running = runtime.infer({ model: MODEL, inputs });
  const waiting = runtime.infer({ model: MODEL, inputs });
  const outcome = Promise.allSettled([running, waiting]);
  made[0]?.die();
  expect(await outcome).toMatchObject([{ reason: coded('INFERENCE_INSTANCE_DIED') }, { reason: coded('INFERENCE_SERVABLE_FAILED') }]);
  await expect(runtime.infer({ model: MODEL, inputs })).rejects.toEqual(coded('INFERENCE_SERVABLE_FAILED', 'died'));
  await runtime.unload(MODEL, V1);
  expect(states).toEqual(['failed INFERENCE_SERVABLE_FAILED', 'unloaded INFERENCE_SERVABLE_FAILED']);
  expect(runtime.list()).toEqual([]);
});

test('2: where no process can be started the load is tried once more, and nothing counts as a crash', async () => {
  const made: FakeInstance[] = [];
  const recorder = new MemoryRecorder();
  const notStarted = new SkerryError('INFERENCE_INSTANCE_DIED', 'it could not be started: EAGAIN', {
    details: { notStarted: true, during: 'load' },
  });
  let failing = 1;
  const runtime = createInferenceRuntime({
    store: memoryKeyValue(),
    recorder,
    logger: silentLogger,
    settings: { isolation: 'process' },
    startInstance: (kind) => {
      const behaviour = { inputs: [X], outputs: [Y] };
      const fails = failing-- > 0;
      const instance = new FakeInstance(fails ? { ...behaviour, onLoad: notStarted } : behaviour);
      instance.carrier = kind;
      if (fails) instance.end(notStarted);
      made.push(instance);
      return instance;
    },
  });
  const spec = await writeServable(Uint8Array.of(1), { samples: [sample] });
  await expect(runtime.load(spec)).resolves.toMatchObject({ state: 'available' });
  expect(made.map(({ carrier }) => carrier)).toEqual(['process', 'thread']);
  expect(recorder.crashes).toEqual([]);
  await runtime.close();
});

test('2: one that was killed, or ended while idle, is replaced and counts as no crash of the version; one in a run does', async () => {
  const { clock, made, recorder, runtime } = await setUp(9);
  for (const [details, crashes] of [
    [{ signal: 'SIGKILL', during: 'run' }, 0],
    [{ signal: 'SIGSEGV' }, 0],
    [{ during: 'run' }, 1],
  ] as const) {
    const before = made.length;
    made.at(-1)?.end(new SkerryError('INFERENCE_INSTANCE_DIED', 'it ended', { details }));
    await restarted(clock, made, before);
    expect(recorder.crashes).toHaveLength(crashes);
  }
  await runtime.close();
});

test('6: a request that crashes a shadow is remembered, and the shadow is asked for it as for a request', async () => {
  const { made, recorder, runtime } = await setUp(9);
  const two = versionNumber(2);
  await runtime.load(await writeServable(Uint8Array.of(1), { version: 2, samples: [sample] }));
  const [serving, candidate] = [made[0], made.at(-1)];
  const asked: unknown[] = [];
  candidate!.check = ({ copy }) => {
    asked.push(copy);
    return Promise.reject(new SkerryError('INFERENCE_CRASHED', 'native code crashed (signal SIGFPE) while it ran a copy of a request'));
  };
  runtime.direct(MODEL, { candidate: two, action: 'shadow', share: 1, sticky: 'key', salt: 's' });
  for (const [index, code] of ['INFERENCE_CRASHED', 'INFERENCE_SHADOW_REFUSED'].entries()) {
    const answer = runtime.infer({ model: MODEL, inputs });
    await waitFor(() => serving!.runs.length > index).promise;
    serving!.runs[index]?.finish();
    await answer;
    await waitFor(() => recorder.failures.length > index).promise;
    expect(recorder.failures[index]).toMatchObject({ code, target: { version: 2, role: 'shadow' } });
  }
  expect(asked, 'the second was refused before').toEqual([true]);
  await runtime.close();
});
