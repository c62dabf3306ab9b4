import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { silenceOnnxRuntime } from '#shared/kernel/onnx-environment.js';
import { type Fleet, type FleetAgent, freePort } from '../kit/fleet.js';
import { sileroVad } from '../kit/silero.js';
import { until } from '../kit/until.js';
import { atMost, type Figure, median, plain } from './figure.js';
import { vadClient } from './vad-request.js';

const ROUNDS = 7;
const PER_ROUND = 400;
const STARTS = 5;

/** What one agent with Silero VAD costs: memory, start, and what an HTTP prediction adds to the model itself. */
export async function benchAgent(fleet: Fleet): Promise<readonly Figure[]> {
  const [agent] = fleet.agents;
  if (agent === undefined) throw new Error('no agent');
  const overhead = await benchOverhead(agent);
  const memory = residentMiB(agent.process.pid);
  const starts = await startTimes(fleet, agent);
  return [
    atMost('agent memory, one model (resident, after 2,800 predictions)', memory, 'MiB', 120),
    atMost('start to first prediction, from source (median of 5)', median(starts), 'ms', 1000),
    ...overhead,
  ];
}

/** Direct runs and HTTP predictions in turn, in the same run, so that a slow moment of the machine slows both. */
export async function benchOverhead(agent: FleetAgent): Promise<readonly Figure[]> {
  silenceOnnxRuntime();
  const session = await InferenceSession.create(sileroVad('v5'), { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const feeds = {
    input: new Tensor('float32', new Float32Array(576).fill(0.01), [1, 576]),
    state: new Tensor('float32', new Float32Array(256), [2, 1, 128]),
    sr: new Tensor('int64', BigInt64Array.from([16_000n]), []),
  };
  const client = vadClient(agent.url);
  const direct: number[] = [];
  const http: number[] = [];
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      direct.push(await medianTime(() => session.run(feeds)));
      http.push(
        await medianTime(async () => {
          const status = await client.predict();
          if (status !== 200) throw new Error(`prediction answered ${status}`);
        }),
      );
    }
  } finally {
    client.close();
    await session.release();
  }
  const added = http.map((value, i) => value - (direct[i] ?? Number.NaN));
  return [
    plain('direct ONNX Runtime, one prediction (median)', median(direct), 'ms'),
    plain('the same over HTTP (median)', median(http), 'ms'),
    atMost('overhead of HTTP over direct ONNX Runtime', median(added), 'ms', 1),
    plain('HTTP time / direct time', median(http.map((value, i) => value / (direct[i] ?? Number.NaN))), 'x'),
  ];
}

async function medianTime(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < PER_ROUND; i += 1) {
    const started = performance.now();
    await run();
    times.push(performance.now() - started);
  }
  return median(times);
}

/** Milliseconds from spawning the process to the first 200 of a prediction, the model already on the device. */
async function startTimes(fleet: Fleet, agent: FleetAgent, count = STARTS): Promise<readonly number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i += 1) {
    await agent.process.stop();
    const port = await freePort();
    const client = vadClient(`http://127.0.0.1:${port}`);
    const started = performance.now();
    fleet.startAgentOn(agent, port);
    await until('the first prediction', async () => (await client.predict()) === 200, { everyMs: 2 });
    times.push(performance.now() - started);
    client.close();
  }
  await fleet.findAgent(agent);
  return times;
}

/** Memory of a process that lies in the machine's (VmRSS). */
function residentMiB(pid: number): number {
  if (process.platform === 'linux') {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kib) / 1024;
  }
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', `${pid}`], { encoding: 'utf8' })) / 1024;
}
