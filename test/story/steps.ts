import type { Step } from './scene.js';
import { enrolStep } from './steps/enrol.js';
import { hubStep } from './steps/hub.js';
import { offlineStep } from './steps/offline.js';
import { predictStep } from './steps/predict.js';
import { publishStep } from './steps/publish.js';
import { takenBackStep } from './steps/taken-back.js';
import { tamperedStep } from './steps/tampered.js';
import { updateStep } from './steps/update.js';
import { wrongStep } from './steps/wrong.js';

/** The story, in order. */
export const STEPS: readonly Step[] = [
  hubStep,
  enrolStep,
  publishStep,
  predictStep,
  offlineStep,
  updateStep,
  wrongStep,
  tamperedStep,
  takenBackStep,
];
