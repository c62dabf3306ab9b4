import { describe, expect, test } from 'vitest';
import { BehaviourBook } from '#agent/metrics/behaviour.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { StepLoop } from '#agent/install/step-loop.js';
import { InstallProgress } from '#agent/models/install-progress.js';
import { ModelLoops } from '#agent/models/model-loops.js';
import { RuntimeView } from '#agent/models/runtime-view.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import { minutes } from '#shared/kernel/time.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Step } from '#agent/models/decide/step.js';
import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { ROWS } from '#shared/signals/rows.js';
import { FakeServables } from '../../kit/model-fakes.js';
import { recordingLogger } from '../../kit/recorder.js';
import { modelName, versionNumber, writeServable } from '../../kit/servables.js';
import { settled, VirtualClock } from '../../kit/virtual-clock.js';

// What an agent remembers about versions and models that come and go has a maximum each (docs/OPERATIONS.md, "What is bounded").

const model = modelName('m');
const base = writeServable(new Uint8Array(1));
const timing = { queue: 1, compute: 1, total: 2 };
const many = LIMITS.rememberedVersions + 50;
const target = (version: number) => ({ model, version: versionNumber(version), variant: 'v', provider: 'cpu' as const });

test('a bounded map evicts the entry that was set longest ago', () => {
  const map = new BoundedMap<string, number>(2);
  map.set('a', 1).set('b', 2).set('a', 3).set('c', 4);
  expect([...map]).toEqual([
    ['a', 3],
    ['c', 4],
  ]);
});

describe('an agent that saw many versions', () => {
  test('counts since the start are kept of a bounded number of them, of those in use always', () => {
    const recorder = new MetricsRecorder();
    for (let version = 1; version <= many; version += 1) {
      recorder.succeeded(target(1), timing);
      recorder.succeeded(target(version), timing);
      recorder.take();
    }
    const totals = recorder.totals();
    expect(totals.length).toBe(LIMITS.rememberedVersions);
    expect(totals.find((series) => series.target.version === 1)?.sums.of(ROWS.predictions)).toBe(many + 1);
  });

  test('behaviour is remembered of a bounded number of them, of those that are asked always', async () => {
    const clock = new VirtualClock();
    const book = new BehaviourBook(clock);
    for (let version = 1; version <= 2 * LIMITS.modelsPerDevice + 20; version += 1) {
      book.succeeded(target(1), timing);
      book.succeeded(target(version), timing);
      await clock.advance(minutes(1) / 10);
    }
    expect(book.recent(model, versionNumber(2)).predictions).toBe(0);
    expect(book.recent(model, versionNumber(1)).predictions).toBeGreaterThan(0);
  });

  test('errors of installs are kept of a bounded number of them', () => {
    const board = new InstallProgress(() => undefined);
    for (let version = 1; version <= many; version += 1) board.setError(model, versionNumber(version), { code: 'IO_FAILED', message: 'x' });
    expect(board.error(model, versionNumber(50))).toBeUndefined();
    expect(board.error(model, versionNumber(many))).toBeDefined();
  });

  test('failures are counted of a bounded number of them, and what changed is seen after an eviction, too', async () => {
    const servables = new FakeServables();
    const board = new RuntimeView(servables, new VirtualClock(), { changed: () => undefined, failed: () => undefined });
    const { signal } = new AbortController();
    const changes = new Set<number>();
    const run = async (id: { model: ModelName; version: VersionNumber }): Promise<void> => {
      servables.behave(id, 'good');
      await board.load({ ...(await base), ...id }, signal);
      servables.fail(id, new SkerryError('INFERENCE_RUN_FAILED', 'it stopped'));
      await board.unload(id.model, id.version);
    };
    for (let n = 1; n <= many; n += 1) {
      await run({ model, version: versionNumber(n) });
      await run({ model: modelName(`other-${n}`), version: versionNumber(1) });
      changes.add(board.changes(model));
    }
    expect(changes.size).toBe(many);
    expect(board.failures(model, versionNumber(1))).toBe(0);
    expect(board.failures(model, versionNumber(many))).toBe(1);
  });
});

test('the loop of a model that is gone is dropped once it rests', async () => {
  const clock = new VirtualClock();
  let finish: () => void = () => undefined;
  const loopOf = (name: ModelName): StepLoop<Step> =>
    new StepLoop<Step>({
      clock,
      logger: recordingLogger().logger,
      random: () => 0.5,
      retry: { base: 1_000, max: 60_000 },
      subject: `model ${name}`,
      cancellable: new Set(),
      plan: () =>
        name === 'busy' ? new Promise((resolve) => (finish = () => resolve({}))) : Promise.resolve({ wakeAt: clock.monotonic() + 1_000 }),
      execute: () => Promise.resolve(),
      failed: () => Promise.resolve(),
      changed: () => undefined,
    });
  const loops = new ModelLoops(loopOf);
  for (let n = 0; n < 10; n += 1) loops.of(modelName(`m-${n}`));
  const busy = loops.of(modelName('busy'));
  busy.kick();
  loops.of(modelName('m-1')).kick();
  await settled();
  expect(clock.pending).toBe(1);
  loops.keepOnly(new Set([modelName('m-0')]));
  await settled();
  expect(loops.size).toBe(2);
  expect(clock.pending).toBe(0);
  finish();
  await busy.settled();
  loops.keepOnly(new Set([modelName('m-0')]));
  expect(loops.size).toBe(1);
});
