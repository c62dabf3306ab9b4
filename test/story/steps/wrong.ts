import { sileroVad } from '../../kit/silero.js';
import { publishWithWrongGolden } from '../wrong-golden.js';
import { deployRefused } from '../refusal.js';
import type { Step } from '../scene.js';

export const wrongStep: Step = {
  name: 'A version that is signed but wrong: its golden outputs are not what the model gives',
  async run(scene, notes) {
    await publishWithWrongGolden(scene, sileroVad('v5'), sileroVad('v6'), 7);
    scene.tell.say('vad@7 carries a valid signature, and golden outputs that no device will get from it.');
    await deployRefused(scene, notes, 'vad@7', ['INFERENCE_GOLDEN_MISMATCH']);
  },
};
