import { until } from '../../kit/until.js';
import { metricsOf } from '../hub-view.js';
import { countPredictions, type Step } from '../scene.js';
import { drawTimeline } from '../timeline.js';
import { VadStream } from '../vad-client.js';
import { LEAST_AGREEMENT } from './predict.js';

export const offlineStep: Step = {
  name: 'The hub and its broker are killed; predictions go on',
  async run(scene, notes) {
    const { fleet, tell, signal } = scene;
    await fleet.hubProcess.kill();
    tell.say('kill -9: there is no hub and no broker now.');
    const answers = await Promise.all(
      fleet.agents.map(async (agent) => ({ agent, frames: await new VadStream(agent.url, scene.recording).all() })),
    );
    for (const { frames } of answers) countPredictions(scene, '5', frames.length);
    const shares = answers.map(({ agent, frames }) => ({ agent, timeline: drawTimeline(scene, frames) }));
    const last = shares.at(-1);
    if (last !== undefined) tell.block([`  ${last.agent.name}, cut off:`, ...last.timeline.text]);
    const worst = Math.min(...shares.map(({ timeline }) => timeline.share));
    notes.check(
      `${fleet.agents.length} devices predict on, as well as before`,
      worst >= LEAST_AGREEMENT,
      `at least ${(worst * 100).toFixed(1)} % right`,
    );

    await fleet.startHub();
    tell.say('The hub starts again; the devices find it and hand over what they kept.');
    const expected = scene.predictions.get('5') ?? 0;
    const counted = await until(
      `the hub to count ${expected} predictions of vad@5`,
      async () => {
        const versions = await metricsOf(fleet, 'vad');
        const predictions = versions.find((entry) => entry.version === 5)?.predictions ?? 0;
        return predictions >= expected && { predictions };
      },
      { deadlineMs: 60_000, everyMs: 250, signal },
    );
    const { predictions } = counted;
    notes.check(
      'everything measured meanwhile arrives, counted once',
      predictions === expected,
      `${predictions} counted, ${expected} made`,
    );
    notes.figure(
      'predictionsWhileCutOff',
      answers.reduce((sum, { frames }) => sum + frames.length, 0),
    );
    notes.figure('predictionsCounted', predictions);
  },
};
