import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Fleet, type FleetAgent, freePort } from '../kit/fleet.js';
import { type Commands, Processes } from '../kit/processes.js';
import { benchOverhead } from './agent-bench.js';
import { atMost, type Figure, median, plain } from './figure.js';
import { cpuSeconds, memoryOf, type Memory, threadSeconds } from './process-figures.js';
import { startUntilPrediction, startVadFleet } from './vad-fleet.js';
import { vadClient } from './vad-request.js';

const MEGABYTE = 1e6;
const STARTS = 9;
const PREDICTIONS = 2_800;
const IDLE_SECONDS = 60;
/** One Silero VAD on live sound: 512 samples at 16 kHz, 31 times a second. */
const STREAM_EVERY_MS = 32;
/** An agent gives memory back for the last time a minute after its start; what it holds from then on is what it holds. */
const SETTLED_SECONDS = 70;
const STREAM_SECONDS = 20;
/** After work, before it is looked at what is left of it. */
const CALM_MS = 10_000;

/** One agent with Silero VAD, called by `commands`: its start, its memory waiting and serving, its idle time, what HTTP adds. */
export async function measureAgent(what: string, commands: Commands): Promise<readonly Figure[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'skerry-bench-'));
  const processes = new Processes(commands);
  try {
    const { fleet, agent } = await startVadFleet(folder, processes);
    const unpacked = await unpackedBytes(agent);
    const unpacking = unpacked === 0 ? [] : [await startUnpacking(what, fleet, agent)];
    const launches = unpacked === 0 ? [] : [await startLaunched(what, fleet, agent)];
    const starts = await measureStarts(fleet, agent, STARTS, 'run');
    const begun = performance.now();
    await wait(CALM_MS);
    const waiting = (await memoryOf(agent.process.pid)).resident;
    await predictOften(agent);
    const busy = (await memoryOf(agent.process.pid)).resident;
    const overhead = (await benchOverhead(agent)).filter(({ name }) => name.startsWith('overhead'));
    const serving = await memoryServing(agent, begun + SETTLED_SECONDS * 1_000);
    const idle = await idleCpu(agent);
    const megabytes = (name: string, bytes: number): Figure => plain(`${what}: ${name}`, bytes / MEGABYTE, 'MB');
    const millis = median(starts.map((start) => start.millis));
    return [
      ...(unpacked === 0 ? [] : [megabytes('native libraries unpacked in the data folder', unpacked)]),
      atMost(`${what}: resident while serving 31 predictions/s, settled`, serving.resident / MEGABYTE, 'MB', 120),
      megabytes('of that its own, not pages of files', serving.own),
      megabytes(`resident right after ${PREDICTIONS.toLocaleString('en')} predictions in a row`, busy),
      megabytes('resident, connected, no requests', waiting),
      megabytes('highest since its start', serving.peak),
      atMost(`${what}: exec to first prediction (median of ${STARTS})`, millis, 'ms', 400),
      plain(`${what}: processor time until then`, median(starts.map(({ cpu }) => cpu)), 'ms'),
      ...launches,
      ...unpacking,
      atMost(`${what}: idle CPU while connected, over ${IDLE_SECONDS} s`, idle, '% of a core', 0.5),
      ...overhead.map((figure) => ({ ...figure, name: `${what}: ${figure.name}` })),
    ];
  } finally {
    await processes.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** From spawning the process to the first 200 of a prediction, the model already on the device; `cpu`: of all threads until then. */
interface Start {
  readonly millis: number;
  readonly cpu: number;
}

async function measureStarts(fleet: Fleet, agent: FleetAgent, count: number, command: 'run' | 'launch'): Promise<readonly Start[]> {
  const starts: Start[] = [];
  for (let i = 0; i < count; i += 1) {
    await agent.process.stop();
    const port = await freePort();
    const begun = performance.now();
    await startUntilPrediction(fleet, agent, port, command);
    starts.push({ millis: performance.now() - begun, cpu: (await threadSeconds(agent.process.pid)) * 1_000 });
  }
  await fleet.findAgent(agent);
  return starts;
}

async function startUnpacking(what: string, fleet: Fleet, agent: FleetAgent): Promise<Figure> {
  await rm(path.join(agent.data, 'native'), { recursive: true });
  const [start] = await measureStarts(fleet, agent, 1, 'run');
  return plain(`${what}: the same when the libraries are unpacked first`, start?.millis ?? Number.NaN, 'ms');
}

async function startLaunched(what: string, fleet: Fleet, agent: FleetAgent): Promise<Figure> {
  const starts = await measureStarts(fleet, agent, STARTS, 'launch');
  return plain(`${what}: the same by launch, as a service starts it`, median(starts.map(({ millis }) => millis)), 'ms');
}

async function predictOften(agent: FleetAgent): Promise<void> {
  const client = vadClient(agent.url);
  for (let i = 0; i < PREDICTIONS; i += 1) await client.predict();
  client.close();
}

/** Predictions at the pace of live sound until `settled`, and then some, during which memory is looked at. */
async function memoryServing(agent: FleetAgent, settled: number): Promise<Memory> {
  const client = vadClient(agent.url);
  const seen: Memory[] = [];
  while (seen.length < (STREAM_SECONDS * 1_000) / STREAM_EVERY_MS) {
    await client.predict();
    if (performance.now() >= settled) seen.push(await memoryOf(agent.process.pid));
    await wait(STREAM_EVERY_MS);
  }
  client.close();
  const of = (field: keyof Memory): number => median(seen.map((each) => each[field]));
  return { resident: of('resident'), own: of('own'), peak: of('peak') };
}

/** The start is over, and memory has been given back; what is left is the connection, the windows of measurements and the watch over it all. */
async function idleCpu(agent: FleetAgent): Promise<number> {
  await wait(CALM_MS);
  const before = await cpuSeconds(agent.process.pid);
  const begun = performance.now();
  await wait(IDLE_SECONDS * 1_000);
  return (100 * ((await cpuSeconds(agent.process.pid)) - before)) / ((performance.now() - begun) / 1_000);
}

async function unpackedBytes(agent: FleetAgent): Promise<number> {
  const home = path.join(agent.data, 'native');
  const found = await readdir(home, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = found.filter((entry) => entry.isFile());
  const each = await Promise.all(files.map(async (file) => (await stat(path.join(file.parentPath, file.name))).size));
  return each.reduce((sum, size) => sum + size, 0);
}
