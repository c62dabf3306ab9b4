import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Command } from 'commander';
import { type BuiltProgram, buildProgram } from '#packaging/build/program.js';
import { wrapScript } from '#packaging/build/bundle.js';
import { ALIKE } from '#packaging/build/code-cache.js';
import { functionLookup, functionsOf } from '#packaging/build/script-functions.js';
import { writeStartProfile } from '#packaging/build/start-profile.js';
import { type ProgramName, PROGRAMS, targetNamed } from '#packaging/targets.js';
import { readCalls } from '../kit/engine-coverage.js';
import { freePort } from '../kit/fleet.js';
import { Processes } from '../kit/processes.js';
import { startUntilPrediction, startVadFleet } from './vad-fleet.js';

/** The connection, the first reports and the look at the fleet's trust are over by then, and memory has not been given back. */
const SETTLED_MS = 3_000;

new Command('npm run profile --')
  .description(
    'Starts the packaged programs with a real fleet and writes down which functions a start calls (packaging/profile): those the packages have compiled.',
  )
  .parse(process.argv);

function build(folder: string, name: ProgramName): Promise<BuiltProgram> {
  const work = path.join(folder, 'build', name);
  return buildProgram(PROGRAMS[name], targetNamed(`linux-${process.arch}`), { work, given: {}, say: (text) => console.error(text) });
}

/** An agent that has its model, and a hub that has its fleet, each started once more with the engine counting calls. */
async function startBoth(
  folder: string,
  commands: ConstructorParameters<typeof Processes>[0],
  coverage: Readonly<Record<ProgramName, string>>,
): Promise<void> {
  const processes = new Processes(commands);
  try {
    const { fleet, agent } = await startVadFleet(path.join(folder, 'fleet'), processes);
    await agent.process.stop();
    for (const command of ['run', 'launch'] as const) {
      await counting(coverage.agent, async () => startUntilPrediction(fleet, agent, await freePort(), command));
      await wait(SETTLED_MS);
      await agent.process.stop();
    }
    await fleet.hubProcess.stop();
    await counting(coverage.hub, async () => {
      await fleet.startHub();
      await fleet.command(['device', 'list']);
    });
    await fleet.hubProcess.stop();
  } finally {
    await processes.close();
  }
}

/** Processes started meanwhile write their coverage into the folder when they end (nodejs.org, NODE_V8_COVERAGE). */
async function counting(into: string, work: () => Promise<void>): Promise<void> {
  await mkdir(into, { recursive: true });
  process.env['NODE_V8_COVERAGE'] = into;
  try {
    await work();
  } finally {
    delete process.env['NODE_V8_COVERAGE'];
  }
}

async function write(name: ProgramName, { bundle }: BuiltProgram, coverage: string): Promise<void> {
  const calls = await readCalls(coverage);
  const profile = new Map<string, ReadonlySet<string>>();
  for (const [script, code] of bundle.scripts) {
    const called = calls.get(`${script}.js`);
    if (called === undefined) {
      // It is compiled by the profile of another script, which the fleet here runs in its place.
      if (Object.hasOwn(ALIKE, script)) continue;
      throw new Error(`nothing was called in the script ${script} of ${name}: did its thread end in order?`);
    }
    const lookup = functionLookup(functionsOf(wrapScript(code).toString('latin1')));
    profile.set(script, new Set(called.flatMap(({ start, end }) => lookup(start, end)?.key ?? [])));
  }
  const file = await writeStartProfile(name, profile);
  const counts = [...profile].map(([script, keys]) => `${keys.size} of ${script}`);
  console.log(`${path.relative(process.cwd(), file)}: functions a start calls: ${counts.join(', ')}`);
}

const folder = await mkdtemp(path.join(tmpdir(), 'skerry-profile-'));
try {
  const agent = await build(folder, 'agent');
  const hub = await build(folder, 'hub');
  const coverage = { agent: path.join(folder, 'coverage-agent'), hub: path.join(folder, 'coverage-hub') };
  await startBoth(folder, { 'skerry-agent': [agent.executable], skerry: [hub.executable] }, coverage);
  await write('agent', agent, coverage.agent);
  await write('hub', hub, coverage.hub);
} finally {
  await rm(folder, { recursive: true, force: true });
}
