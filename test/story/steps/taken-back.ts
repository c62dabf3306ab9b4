import path from 'node:path';
import { writeModelThatFailsOnSpeech } from '../failing-model.js';
import { goldenArgs, silenceGoldenFile } from '../golden.js';
import { type LoadResult, SteadyLoad } from '../load.js';
import { rollOut } from '../rollout.js';
import type { Step } from '../scene.js';
import { servingVersions } from './update.js';

const PAUSE_MS = 10;

export const takenBackStep: Step = {
  name: 'A version that passes every check and fails when somebody speaks takes itself back',
  async run(scene, notes) {
    const { fleet, recording, tell, devices } = scene;
    const file = path.join(fleet.folder, 'fails-on-speech.onnx');
    await writeModelThatFailsOnSpeech(file);
    const golden = goldenArgs([await silenceGoldenFile(fleet.folder, recording)]);
    await fleet.publish(file, ['--name', 'vad', '--version', '9', ...golden, '--description', 'right about silence']);
    tell.say('vad@9 is signed, its golden samples (of silence) hold, and it is rolled out like any other.');
    const loads = fleet.agents.map((agent) => new SteadyLoad(agent.url, recording, PAUSE_MS));
    let rollout: Awaited<ReturnType<typeof rollOut>>;
    let results: readonly LoadResult[];
    try {
      rollout = await rollOut(scene, 'vad', 9);
    } finally {
      results = await Promise.all(loads.map((load) => load.stop()));
    }
    const { code, decisions } = rollout;
    const exposed = results.filter((result) => result.failures.length > 0 || result.byVersion.has('9')).length;
    const failed = results.reduce((sum, result) => sum + result.failures.length, 0);
    notes.check('the rollout ended by taking it back', code === 1 && decisions.some(({ to }) => to === 'rolled-back'), `exit code ${code}`);
    notes.check('it never left its first wave', exposed <= 1, `${exposed} of ${devices} devices, ${failed} failed predictions`);
    const serving = await servingVersions(scene);
    notes.check('vad@6 serves everywhere again', serving.size === 1 && serving.has('6'), `answers come from ${[...serving].join(', ')}`);
    notes.figure('devicesExposedToBadVersion', exposed);
    notes.figure('failedPredictionsOfBadVersion', failed);
  },
};
