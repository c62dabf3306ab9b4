import { sileroVad } from '../../kit/silero.js';
import { goldenArgs, legacyGoldenFiles } from '../golden.js';
import { deployRefused } from '../refusal.js';
import type { Step } from '../scene.js';
import { tamperWithArtifact } from '../tamper.js';

export const tamperedStep: Step = {
  name: 'A version that is tampered with: someone changes the model on the hub',
  async run(scene, notes) {
    const { fleet, tell } = scene;
    const args = ['--name', 'vad', '--version', '8', ...goldenArgs(await legacyGoldenFiles(fleet.folder))];
    await fleet.publish(sileroVad('legacy'), args);
    const changed = await tamperWithArtifact(scene, 'vad', 8);
    tell.say(`vad@8 is published properly; then one byte of ${changed.slice(0, 12)}… is changed in the hub's own storage.`);
    await deployRefused(scene, notes, 'vad@8', ['BUNDLE_CHUNK_MISMATCH', 'BUNDLE_DIGEST_MISMATCH']);
  },
};
