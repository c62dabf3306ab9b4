import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { Fleet, freePort } from '../kit/fleet.js';
import { Processes } from '../kit/processes.js';
import { TcpProxy } from '../kit/tcp-proxy.js';
import { benchAgent } from './agent-bench.js';
import { benchDeploy } from './deploy-bench.js';
import { type Figure, machine, printFigures } from './figure.js';
import { benchIngest } from './ingest-bench.js';
import { benchScale, devicesPerCore } from './scale-bench.js';
import { writeFigures } from './figure-tables.js';

const AGENTS = 5;

const options = new Command('npm run bench --')
  .description('Measures what docs/FIGURES.md promises, on this machine, with a real hub and real agents.')
  .option('--json <file>', 'write the figures as [{name, value, unit, aim, holds}]')
  .option('--docs', 'write the table of figures into docs/FIGURES.md')
  .parse(process.argv)
  .opts<{ json?: string; docs?: boolean }>();

const figures = await bench();
printFigures(machine(), figures);
if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures, null, 2)}\n`);
if (options.docs === true) {
  const intro = `Measured by \`npm run bench -- --docs\` on ${machine()}.`;
  await writeFigures({ file: 'docs/FIGURES.md', marker: 'figures', intro, figures });
}

async function bench(): Promise<readonly Figure[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'skerry-bench-'));
  const processes = new Processes();
  const cable = await TcpProxy.start(0);
  try {
    const brokerPort = await freePort();
    cable.join(brokerPort);
    const hubArgs = ['--mqtt-port', `${brokerPort}`, '--mqtt-public-url', `mqtt://127.0.0.1:${cable.port}`];
    const fleet = new Fleet({ folder, processes, hubArgs, agentArgs: ['--bake', '3s', '--isolation', 'thread'] });
    await fleet.startHub();
    await fleet.initTrust();
    for (let i = 0; i < AGENTS; i += 1) await fleet.enrol(`bench-${i + 1}`, { site: 'bench' });
    const deploy = await benchDeploy(fleet, cable);
    const [, ...others] = fleet.agents;
    await Promise.all(others.map((agent) => agent.process.stop()));
    const agent = await benchAgent(fleet);
    await Promise.all(fleet.agents.map((each) => each.process.stop()));
    const hub = await benchIngest(fleet);
    await fleet.hubProcess.stop();
    const scale = await benchScale(folder);
    return [...agent, ...deploy, ...hub, ...scale, devicesPerCore([...hub, ...scale])];
  } finally {
    await processes.close();
    await cable.close();
    await rm(folder, { recursive: true, force: true });
  }
}
