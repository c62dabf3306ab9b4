import { Fleet, type FleetAgent } from '../kit/fleet.js';
import type { Processes } from '../kit/processes.js';
import { sileroVad } from '../kit/silero.js';
import { until } from '../kit/until.js';
import { readRecording } from '../story/audio.js';
import { goldenArgs, goldenFiles } from '../story/golden.js';
import { deploymentOf } from '../story/hub-view.js';
import { vadClient } from './vad-request.js';

/** A hub with one device that serves Silero VAD version 5 and holds it for good soon. */
export async function startVadFleet(folder: string, processes: Processes): Promise<{ readonly fleet: Fleet; readonly agent: FleetAgent }> {
  const fleet = new Fleet({ folder, processes, agentArgs: ['--bake', '3s', '--isolation', 'thread'] });
  await fleet.startHub();
  await fleet.initTrust();
  const agent = await fleet.enrol('bench-1', {});
  const golden = goldenArgs(await goldenFiles(fleet.folder, await readRecording()));
  await fleet.publish(sileroVad('v5'), ['--name', 'vad', '--version', '5', ...golden]);
  const { id } = (await fleet.command(['deploy', 'vad@5', '--all'])) as { id: number };
  const served = async (): Promise<boolean> => (await deploymentOf(fleet, id)).devices.every((device) => device.state === 'serving');
  await until('vad@5 to be served', served, { deadlineMs: 60_000 });
  return { fleet, agent };
}

/** Starts the agent again with its API on `port`; resolves when a prediction was answered with 200. */
export async function startUntilPrediction(fleet: Fleet, agent: FleetAgent, port: number, command?: 'run' | 'launch'): Promise<void> {
  const client = vadClient(`http://127.0.0.1:${port}`);
  fleet.startAgentOn(agent, port, command);
  await until('the first prediction', async () => (await client.predict()) === 200, { everyMs: 2 });
  client.close();
}
