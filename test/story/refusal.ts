import type { StepNotes, Scene } from './scene.js';
import { deployAndWatch } from './deploy.js';
import { servingVersions } from './steps/update.js';

/** Deploys a version that every device must refuse, and shows who refused it, why, and what serves on. */
export async function deployRefused(scene: Scene, notes: StepNotes, reference: string, codes: readonly string[]): Promise<void> {
  const { deployment } = await deployAndWatch(scene, reference);
  for (const device of deployment.devices) {
    scene.tell.detail(`${device.device.padEnd(9)} ${device.state}  ${device.error?.code ?? ''}  ${device.error?.message ?? ''}`);
  }
  const refused = deployment.devices.filter((device) => device.state === 'refused' && codes.includes(device.error?.code ?? ''));
  notes.check(
    'every device refused it, and the hub knows why',
    refused.length === scene.devices,
    [...new Set(refused.map((d) => d.error?.code))].join(', '),
  );
  const serving = await servingVersions(scene);
  notes.check('vad@6 goes on serving everywhere', serving.size === 1 && serving.has('6'), `answers come from ${[...serving].join(', ')}`);
}
