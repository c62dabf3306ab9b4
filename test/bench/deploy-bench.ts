import { deploymentOf } from '../story/hub-view.js';
import { goldenArgs, goldenFiles } from '../story/golden.js';
import { readRecording } from '../story/audio.js';
import { type Fleet } from '../kit/fleet.js';
import { sileroVad } from '../kit/silero.js';
import type { TcpProxy } from '../kit/tcp-proxy.js';
import { until } from '../kit/until.js';
import { type Figure, plain } from './figure.js';

/** Time and bytes from `deploy` to served, for a first version and for an update of it; MQTT passes through a counting cable. */
export async function benchDeploy(fleet: Fleet, cable: TcpProxy): Promise<readonly Figure[]> {
  const golden = goldenArgs(await goldenFiles(fleet.folder, await readRecording()));
  const figures: Figure[] = [];
  for (const [version, what] of [
    ['v5', 'first version (2.3 MB model)'],
    ['v6', 'update to the next version'],
  ] as const) {
    const number = version.slice(1);
    await fleet.publish(sileroVad(version), ['--name', 'vad', '--version', number, ...golden]);
    const before = { ...cable.bytes };
    const started = performance.now();
    const { id } = (await fleet.command(['deploy', `vad@${number}`, '--all'])) as { id: number };
    await until(
      `vad@${number} to be served everywhere`,
      async () => {
        const { devices } = await deploymentOf(fleet, id);
        return devices.length === fleet.agents.length && devices.every((device) => device.state === 'serving');
      },
      { deadlineMs: 120_000, everyMs: 20 },
    );
    const seconds = (performance.now() - started) / 1000;
    const bytes = cable.bytes.toTarget - before.toTarget + (cable.bytes.fromTarget - before.fromTarget);
    figures.push(
      plain(`deploy to served on ${fleet.agents.length} devices, ${what}`, seconds, 's'),
      plain(`bytes per device, ${what}`, bytes / fleet.agents.length / 1e6, 'MB'),
    );
  }
  return figures;
}
