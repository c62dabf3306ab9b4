import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type Fleet } from '../kit/fleet.js';
import { sileroVad } from '../kit/silero.js';
import { readRecording } from '../story/audio.js';
import { goldenArgs, goldenFiles } from '../story/golden.js';
import { until } from '../kit/until.js';

const SAMPLES = 576;

/** Publishes Silero VAD v5 with golden samples of real audio, and wants it on every device. */
export async function publishVad(fleet: Fleet): Promise<void> {
  const golden = goldenArgs(await goldenFiles(fleet.folder, await readRecording()));
  await fleet.publish(sileroVad('v5'), ['--name', 'vad', '--version', '5', ...golden]);
  await fleet.command(['deploy', 'vad@5', '--all']);
}

/** Where the agent of a data folder answers, once the process `pid` says so. */
export function agentUrl(data: string, pid: number, deadlineMs = 60_000): Promise<string> {
  return until(
    'the agent to say where it is',
    async () => {
      const running = JSON.parse(await readFile(path.join(data, 'agent.json'), 'utf8')) as { pid: number; http: string };
      return running.pid === pid && running.http;
    },
    { deadlineMs },
  );
}

/** Speech probability and the sum of the state, of one window of a wave that is the same everywhere. */
export async function predictVad(url: string): Promise<readonly number[]> {
  const wave = Array.from({ length: SAMPLES }, (_, i) => Math.fround(0.3 * Math.sin(i / 7) + 0.1 * Math.sin(i / 3)));
  const response = await fetch(`${url}/v2/models/vad/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      inputs: [
        { name: 'input', datatype: 'FP32', shape: [1, SAMPLES], data: wave },
        { name: 'state', datatype: 'FP32', shape: [2, 1, 128], data: Array.from({ length: 256 }, () => 0) },
        { name: 'sr', datatype: 'INT64', shape: [], data: [16_000] },
      ],
    }),
  });
  const body = (await response.json()) as { outputs?: { name: string; data: number[] }[] };
  if (!response.ok || body.outputs === undefined) throw new Error(`the prediction answered ${response.status}: ${JSON.stringify(body)}`);
  return body.outputs.toSorted((a, b) => (a.name < b.name ? -1 : 1)).flatMap((output) => output.data);
}

/** The first prediction that succeeds: the model may still be on its way. */
export function firstPrediction(url: string, deadlineMs = 60_000): Promise<readonly number[]> {
  return until('a prediction', () => predictVad(url), { deadlineMs, everyMs: 100 });
}
