import { describe, expect, test } from 'vitest';
import type { PredictionTarget } from '#agent/inference/contract.js';
import { agentTarget } from '#agent/metrics/agent-target.js';
import { CrashWitness } from '#agent/metrics/crash-witness.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { FakeEvents } from '../../kit/model-fakes.js';
import { versionNumber } from '../../kit/servables.js';

/** One device: what it wrote down stays over its runs. */
class Runs {
  readonly #state = new Map<string, string>();

  /** A run of a release; resolves with what its first window says of releases. */
  async run(release: number | undefined, ends: 'in order' | 'killed' | 'before it began'): Promise<Pick<PredictionTarget, 'version'>[]> {
    const recorder = new MetricsRecorder();
    const state = {
      get: (key: string) => Promise.resolve(this.#state.get(key)),
      set: (key: string, value: string) => Promise.resolve(void this.#state.set(key, value)),
    };
    const agent = () => agentTarget(release === undefined ? undefined : versionNumber(release));
    const servables = { onChange: () => () => undefined };
    const ledger = { blame: () => Promise.resolve() };
    const parts = {
      state,
      servables,
      recorder,
      events: new FakeEvents(),
      logger: silentLogger,
      agent,
      suspects: undefined,
      crashes: ledger,
    };
    const witness = new CrashWitness(parts);
    if (ends !== 'before it began') await witness.start();
    recorder.runs(agent());
    if (ends !== 'killed') await witness.close();
    return recorder.take().map((series) => {
      const { version, crashes } = series.toWindow();
      return { version, ...(crashes === undefined ? {} : { crashes }) };
    });
  }
}

describe('a run of the agent that did not end in order', () => {
  test('counts for the release that ran, not for the one that finds out', async () => {
    const runs = new Runs();
    expect(await runs.run(undefined, 'in order')).toEqual([{ version: 1 }]);
    expect(await runs.run(5, 'killed')).toEqual([{ version: 5 }]);
    expect(await runs.run(5, 'killed')).toEqual([{ version: 5, crashes: 1 }]);
    expect(await runs.run(undefined, 'in order')).toEqual([{ version: 5, crashes: 1 }, { version: 1 }]);
    expect(await runs.run(undefined, 'in order')).toEqual([{ version: 1 }]);
  });

  test('is counted by the first run that begins, also after starts that failed before', async () => {
    const runs = new Runs();
    await runs.run(5, 'killed');
    await runs.run(5, 'before it began');
    expect(await runs.run(5, 'in order')).toEqual([{ version: 5, crashes: 1 }]);
  });
});
