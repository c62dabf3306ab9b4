import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Command } from 'commander';
import { Fleet, type FleetAgent } from '../kit/fleet.js';
import { sileroVad } from '../kit/silero.js';
import { type Commands, Processes, PROJECT_ROOT } from '../kit/processes.js';
import { readRecording } from '../story/audio.js';
import { goldenArgs, goldenFiles } from '../story/golden.js';
import { deploymentOf } from '../story/hub-view.js';
import { until } from '../kit/until.js';
import { residentMiB, startTimes } from './agent-bench.js';
import { atMost, type Figure, machine, median, plain, printFigures } from './figure.js';
import { vadClient } from './vad-request.js';

const MEGABYTE = 1e6;
const PREDICTIONS = 2_800;
const IDLE_SECONDS = 30;
/** Clock ticks a second in /proc/PID/stat (USER_HZ; 100 on every Linux). */
const TICKS = 100;

const options = new Command('npm run bench:package --')
  .description('Measures the packaged agent beside the agent from source, on this machine, with a real hub.')
  .option('--json <file>', 'write the figures as [{name, value, unit, aim, holds}]')
  .option('--packages <folder>', 'packages that are built already (npm run package), instead of building them')
  .parse(process.argv)
  .opts<{ json?: string; packages?: string }>();

const packages = options.packages ?? buildPackages();
const figures = [
  ...(await sizes(packages)),
  ...(await measure('packaged', { 'skerry-agent': [await executableIn(packages)] })),
  ...(await measure('from source', {})),
];
printFigures(machine(), figures);
if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures, null, 2)}\n`);

function buildPackages(): string {
  const out = path.join(PROJECT_ROOT, 'packaging/out/bench');
  const args = ['--target', `linux-${process.arch}`, '--program', 'agent', '--format', 'executable', 'deb', '--out', out];
  const built = spawnSync(process.execPath, [path.join(PROJECT_ROOT, 'dist/packaging/main.js'), ...args], { stdio: ['ignore', 2, 2] });
  if (built.status !== 0) throw new Error('the packages could not be built');
  return out;
}

async function executableIn(folder: string): Promise<string> {
  return path.join(folder, await nameIn(folder, /^skerry-agent-linux-[a-z0-9]+$/));
}

async function nameIn(folder: string, pattern: RegExp): Promise<string> {
  const name = (await readdir(folder)).find((each) => pattern.test(each));
  if (name === undefined) throw new Error(`${folder} has no file named like ${pattern.source}`);
  return name;
}

async function sizes(folder: string): Promise<readonly Figure[]> {
  const deb = (await stat(path.join(folder, await nameIn(folder, /^skerry-agent_.*\.deb$/)))).size;
  const executable = (await stat(await executableIn(folder))).size;
  return [atMost('download (.deb)', deb / MEGABYTE, 'MB', 45), plain('executable on the disk', executable / MEGABYTE, 'MB')];
}

/** One agent with Silero VAD, called by `commands`. */
async function measure(what: string, commands: Commands): Promise<readonly Figure[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'skerry-bench-'));
  const processes = new Processes(commands);
  try {
    const fleet = new Fleet({ folder, processes, agentArgs: ['--bake', '3s'] });
    await fleet.startHub();
    await fleet.initTrust();
    await fleet.enrol('bench-1', {});
    const [agent] = fleet.agents;
    if (agent === undefined) throw new Error('no agent');
    await serveVad(fleet);
    const unpacked = await unpackedBytes(agent);
    const starts = await startTimes(fleet, agent);
    const idle = await idleCpu(agent);
    const settled = residentMiB(agent.process.pid);
    await predictOften(agent);
    const busy = residentMiB(agent.process.pid);
    const first =
      unpacked === 0 ? [] : [plain(`${what}: the same when the libraries are unpacked first`, await startUnpacked(fleet, agent), 'ms')];
    return [
      ...(unpacked === 0 ? [] : [plain(`${what}: native libraries unpacked in the data folder`, unpacked / MEGABYTE, 'MB')]),
      atMost(`${what}: resident, one model, connected, no requests`, settled, 'MiB', 120),
      atMost(`${what}: resident right after ${PREDICTIONS.toLocaleString('en')} predictions`, busy, 'MiB', 120),
      atMost(`${what}: exec to first prediction (median of ${starts.length})`, median(starts), 'ms', 400),
      ...first,
      atMost(`${what}: idle CPU while connected, over ${IDLE_SECONDS} s`, idle, '% of a core', 0.5),
    ];
  } finally {
    await processes.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function serveVad(fleet: Fleet): Promise<void> {
  const golden = goldenArgs(await goldenFiles(fleet.folder, await readRecording()));
  await fleet.publish(sileroVad('v5'), ['--name', 'vad', '--version', '5', ...golden]);
  const { id } = (await fleet.command(['deploy', 'vad@5', '--all'])) as { id: number };
  const served = async (): Promise<boolean> => (await deploymentOf(fleet, id)).devices.every((device) => device.state === 'serving');
  await until('vad@5 to be served', served, { deadlineMs: 60_000 });
}

async function predictOften(agent: FleetAgent): Promise<void> {
  const client = vadClient(agent.url);
  for (let i = 0; i < PREDICTIONS; i += 1) await client.predict();
  client.close();
}

/** The start is over by then; what is left is the connection, the windows of measurements and the watch over it all. */
async function idleCpu(agent: FleetAgent): Promise<number> {
  await wait(10_000);
  const before = await cpuSeconds(agent.process.pid);
  const started = performance.now();
  await wait(IDLE_SECONDS * 1_000);
  return (100 * ((await cpuSeconds(agent.process.pid)) - before)) / ((performance.now() - started) / 1_000);
}

/** User and system time of a process so far (proc(5): fields 14 and 15 of stat, counted behind the name in brackets). */
async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

async function unpackedBytes(agent: FleetAgent): Promise<number> {
  const home = path.join(agent.data, 'native');
  const found = await readdir(home, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = found.filter((entry) => entry.isFile());
  const each = await Promise.all(files.map(async (file) => (await stat(path.join(file.parentPath, file.name))).size));
  return each.reduce((sum, size) => sum + size, 0);
}

async function startUnpacked(fleet: Fleet, agent: FleetAgent): Promise<number> {
  await rm(path.join(agent.data, 'native'), { recursive: true });
  return median(await startTimes(fleet, agent, 1));
}
