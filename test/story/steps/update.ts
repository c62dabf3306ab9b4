import { sileroVad } from '../../kit/silero.js';
import { goldenArgs, goldenFiles } from '../golden.js';
import { type LoadResult, SteadyLoad } from '../load.js';
import { rollOut } from '../rollout.js';
import { countPredictions, type Scene, type Step } from '../scene.js';

const PAUSE_MS = 10;

export const updateStep: Step = {
  name: 'Silero VAD v6 replaces v5 in waves, under a steady stream of requests',
  async run(scene, notes) {
    const { fleet, recording, tell } = scene;
    const loads = fleet.agents.map((agent) => new SteadyLoad(agent.url, recording, PAUSE_MS));
    const started = performance.now();
    let code: number;
    let results: readonly LoadResult[];
    try {
      const golden = goldenArgs(await goldenFiles(fleet.folder, recording));
      await fleet.publish(sileroVad('v6'), ['--name', 'vad', '--version', '6', ...golden, '--description', 'Silero VAD v6']);
      ({ code } = await rollOut(scene, 'vad', 6));
      await switched(loads);
    } finally {
      results = await Promise.all(loads.map((load) => load.stop()));
    }
    for (const { byVersion } of results) for (const [version, count] of byVersion) countPredictions(scene, version, count);
    const sent = sum(results.map((result) => result.sent));
    const failures = results.flatMap((result) => result.failures);
    const old = sum(results.map((result) => result.byVersion.get('5') ?? 0));
    const fresh = sum(results.map((result) => result.byVersion.get('6') ?? 0));
    tell.say(`${sent} requests during the update: ${old} answered by vad@5, ${fresh} by vad@6.`);
    for (const failure of failures.slice(0, 3)) tell.failure(failure);
    notes.check('the rollout went through all its waves', code === 0, `exit code ${code}`);
    notes.check('not one prediction failed', failures.length === 0 && sent > 0, `${failures.length} of ${sent}`);
    notes.check(
      'every device went from the old to the new version',
      results.every(({ byVersion }) => byVersion.has('5') && byVersion.has('6')),
    );
    notes.figure('requestsDuringUpdate', sent);
    notes.figure('failedDuringUpdate', failures.length);
    notes.figure('slowestMs', Math.max(...results.map((result) => result.slowestMs)));
    notes.figure('rolloutSeconds', (performance.now() - started) / 1000);
  },
};

/** Lets every stream see some answers of the new version before it ends. */
async function switched(loads: readonly SteadyLoad[]): Promise<void> {
  const goals = loads.map((load) => load.sent + 20);
  while (loads.some((load, i) => load.sent < (goals[i] ?? 0))) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Asks every device once for its whole recording; used after a refused version to show who serves. */
export async function servingVersions(scene: Scene): Promise<ReadonlySet<string>> {
  const loads = scene.fleet.agents.map((agent) => new SteadyLoad(agent.url, scene.recording, 1));
  await switched(loads);
  const results = await Promise.all(loads.map((load) => load.stop()));
  for (const { byVersion } of results) for (const [version, count] of byVersion) countPredictions(scene, version, count);
  return new Set(results.flatMap((result) => (result.failures.length > 0 ? ['failed'] : [...result.byVersion.keys()])));
}
