import { createProgress, type ProgressBar } from '#shared/terminal/progress.js';
import { until } from '../kit/until.js';
import { type DeploymentView, deploymentOf } from './hub-view.js';
import type { Scene } from './scene.js';

const DONE = new Set(['serving', 'refused']);

/** Deploys to every device and shows a bar for each until it serves or refuses. */
export async function deployAndWatch(
  { fleet, tell, signal }: Scene,
  reference: string,
): Promise<{ deployment: DeploymentView; seconds: number }> {
  const started = performance.now();
  const { id } = (await fleet.command(['deploy', reference, '--all'])) as { id: number };
  const progress = await createProgress(tell.out);
  const bars = new Map<string, ProgressBar>();
  try {
    const deployment = await until(
      `every device to answer to ${reference}`,
      async () => {
        const view = await deploymentOf(fleet, id);
        for (const device of view.devices) {
          const bar = bars.get(device.device) ?? progress.bar(`    ${device.device.padEnd(9)}`, 100);
          bars.set(device.device, bar);
          show(bar, device);
        }
        return view.devices.length > 0 && view.devices.every((device) => DONE.has(device.state)) && view;
      },
      { deadlineMs: 120_000, everyMs: 150, signal },
    );
    return { deployment, seconds: (performance.now() - started) / 1000 };
  } finally {
    progress.close();
  }
}

function show(bar: ProgressBar, device: DeploymentView['devices'][number]): void {
  if (device.state === 'serving') bar.finish('serving');
  else if (device.state === 'refused') bar.fail(device.error?.code ?? 'refused');
  else bar.update(percentOf(device), device.install ?? device.state);
}

/** Fetching is most of the way, as it is most of the time on a real line. */
function percentOf(device: DeploymentView['devices'][number]): number {
  if (device.state === 'installing') return 85;
  return device.state === 'fetching' ? Math.round(5 + 0.75 * (device.percent ?? 0)) : 0;
}
