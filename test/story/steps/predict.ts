import { countPredictions, type Step } from '../scene.js';
import { drawTimeline } from '../timeline.js';
import { VadStream } from '../vad-client.js';

/** Least share of frames on which model and recording must agree; the model is about 96 % right on this recording. */
export const LEAST_AGREEMENT = 0.9;

export const predictStep: Step = {
  name: 'A device listens: predictions over real audio, asked of its local API',
  async run(scene, notes) {
    const [agent] = scene.fleet.agents;
    if (agent === undefined) throw new Error('no agent');
    const frames = await new VadStream(agent.url, scene.recording).all();
    countPredictions(scene, '5', frames.length);
    const timeline = drawTimeline(scene, frames);
    scene.tell.block(timeline.text);
    notes.check(`${agent.name} hears speech where speech is`, timeline.share >= LEAST_AGREEMENT, `${(timeline.share * 100).toFixed(1)} %`);
    notes.figure('agreement', timeline.share);
  },
};
