import { sileroVad } from '../../kit/silero.js';
import { goldenArgs, goldenFiles } from '../golden.js';
import { deployAndWatch } from '../deploy.js';
import type { Step } from '../scene.js';

export const publishStep: Step = {
  name: 'Silero VAD v5 is published, signed, and reaches every device in chunks',
  async run(scene, notes) {
    const { fleet, recording, tell } = scene;
    const golden = goldenArgs(await goldenFiles(fleet.folder, recording));
    await fleet.publish(sileroVad('v5'), ['--name', 'vad', '--version', '5', ...golden, '--description', 'Silero VAD v5']);
    tell.say('vad@5 is inspected, has golden samples recorded from the recording, is cut into chunks, signed and uploaded.');
    const { seconds } = await deployAndWatch(scene, 'vad@5');
    notes.check('every device verified it, gave the golden outputs, warmed it up and serves it', true, `${seconds.toFixed(1)} s`);
    notes.figure('deploySeconds', seconds);
  },
};
