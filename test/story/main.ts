import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { Fleet } from '../kit/fleet.js';
import { Processes } from '../kit/processes.js';
import { readRecording } from './audio.js';
import { Narrator } from './narrator.js';
import { type StepRecord, writeReport } from './report.js';
import { runStep, type Scene } from './scene.js';
import { STEPS } from './steps.js';
import { tellSummary } from './summary.js';

interface Options {
  readonly once: boolean;
  readonly report?: string;
  readonly devices: number;
  readonly keep?: string;
}

const options = new Command('npm start --')
  .description('The whole story on real input: a hub, a fleet of agents, signed models, a cut network, a bad version taken back.')
  .option('--once', 'end after the last step; exit code 0 only if every step held', false)
  .option('--report <file>', 'write steps and figures as JSON')
  .option('--devices <n>', 'how many agents, 1 to 50', parseDevices, 5)
  .option('--keep <folder>', 'work in this folder and leave it (default: a temporary one, removed at the end)')
  .parse(process.argv)
  .opts<Options>();

process.exitCode = await tell(options);

async function tell({ once, report, devices, keep }: Options): Promise<number> {
  const startedAt = new Date().toISOString();
  const narrator = new Narrator();
  const folder = keep === undefined ? await mkdtemp(path.join(tmpdir(), 'skerry-')) : path.resolve(keep);
  const processes = new Processes();
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort(new Error('stopped')));
  const watch = watchParent(() => stop.abort(new Error('stopped')));

  const agentArgs = ['--window', '1s', '--bake', '3s', '--reconnect-max', '2s'];
  const hubArgs = ['--device-step', '1s', '--rollout-look', '1s'];
  const fleet = new Fleet({ folder, processes, hubArgs, agentArgs });
  const scene: Scene = { fleet, recording: await readRecording(), tell: narrator, devices, predictions: new Map(), signal: stop.signal };
  const records: StepRecord[] = [];
  let held = false;
  try {
    for (const [index, step] of STEPS.entries()) {
      if (stop.signal.aborted) break;
      const record = await runStep(step, scene, index + 1);
      records.push(record);
      if (record.error !== undefined) break;
    }
    held = records.length === STEPS.length && records.every((record) => record.held);
    if (report !== undefined)
      await writeReport(report, { held, startedAt, seconds: Math.round(narrator.elapsed), devices, steps: records });
    const staysUp = !once && !stop.signal.aborted && records.length === STEPS.length;
    tellSummary(scene, records, STEPS.length, staysUp);
    if (once && keep !== undefined) narrator.say(`Logs and data are in ${folder}.`);
    if (staysUp) await untilStopped(narrator, stop.signal);
  } finally {
    clearInterval(watch);
    await processes.close();
    if (keep === undefined) await rm(folder, { recursive: true, force: true });
  }
  return held ? 0 : 1;
}

/** `npm start` that is ended by a signal to npm alone leaves this process behind with another parent: then it ends as well. */
function watchParent(onGone: () => void): NodeJS.Timeout {
  const parent = process.ppid;
  return setInterval(() => {
    if (process.ppid !== parent) onGone();
  }, 500).unref();
}

/** Stays up until Ctrl-C. */
async function untilStopped(narrator: Narrator, signal: AbortSignal): Promise<void> {
  narrator.say('Everything stays up. Ctrl-C ends it.');
  const alive = setInterval(() => undefined, 60_000);
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  clearInterval(alive);
}

function parseDevices(text: string): number {
  const devices = Number(text);
  if (!Number.isInteger(devices) || devices < 1 || devices > 50) throw new InvalidArgumentError('Give a whole number from 1 to 50.');
  return devices;
}
