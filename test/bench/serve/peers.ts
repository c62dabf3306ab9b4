import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { atLeast, type Figure, median, plain } from '../figure.js';
import { PROJECT_ROOT } from '../../kit/processes.js';
import type { FigureGroup, GroupContext } from './figure-group.js';
import { MODELS } from './models.js';
import { Target } from './open-target.js';
import { type LoadRequest, oipBinary, oipGrpc, oipJson } from './requests.js';

const CLIENTS = 8;
const ROUNDS = 4;
const SECONDS = 2;
const SCRIPTS = path.join(PROJECT_ROOT, 'test/bench/serve/peers');

export const peers: FigureGroup = {
  name: 'peers',
  what: `Peers: requests a second of Silero VAD for ${CLIENTS} clients, each server with one process and the form in which it answers most.`,
  isLong: true,
  measure: measurePeers,
};

interface Ports {
  readonly http: number;
  readonly grpc: number;
  readonly metrics: number;
}

/** A server of somebody else. */
interface Peer {
  readonly name: string;
  /** Pins for pip. */
  readonly packages: readonly string[];
  /** Arguments of the environment's program, and settings beside them. */
  readonly start: (folder: string, model: string, ports: Ports) => Promise<{ readonly program: string; readonly args: readonly string[] }>;
  readonly ready: string;
  /** Forms that it takes. */
  readonly forms: readonly ('binary' | 'JSON' | 'gRPC')[];
  /** Times that it has to be outdone. */
  readonly aim?: number;
}

const PEERS: readonly Peer[] = [
  {
    name: 'MLServer',
    packages: ['mlserver==1.7.1', 'onnxruntime==1.23.2'],
    start: async (folder, model, { http, grpc, metrics }) => {
      const server = { http_port: http, grpc_port: grpc, metrics_port: metrics, parallel_workers: 0, host: '127.0.0.1' };
      await writeFile(path.join(folder, 'settings.json'), JSON.stringify(server));
      const settings = { name: 'vad', implementation: 'mlserver_vad.OnnxModel', parameters: { uri: model } };
      await writeFile(path.join(folder, 'model-settings.json'), JSON.stringify(settings));
      return { program: 'mlserver', args: ['start', folder] };
    },
    ready: '/v2/models/vad/ready',
    forms: ['JSON', 'gRPC'],
    aim: 5,
  },
  {
    name: "KServe's Python server",
    packages: ['kserve==0.21.0', 'onnxruntime==1.23.2'],
    start: async (_, model, { http, grpc }) => ({
      program: 'python',
      args: [path.join(SCRIPTS, 'kserve_vad.py'), model, '--http_port', String(http), '--grpc_port', String(grpc)],
    }),
    ready: '/v2/models/vad/ready',
    forms: ['binary', 'gRPC'],
  },
];

async function measurePeers({ client, scale }: GroupContext): Promise<readonly Figure[]> {
  const target = await Target.open({ models: ['vad'], instances: os.availableParallelism() });
  const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-peers-'));
  const running: { readonly peer: Peer; readonly child: ChildProcess; readonly ports: Ports; readonly most: Map<string, number[]> }[] = [];
  const ours: number[] = [];
  const ask = async (address: string, request: LoadRequest): Promise<number> => {
    const told = await client.load({ address, request, connections: CLIENTS, requests: 1e9, seconds: SECONDS * scale });
    return told.failures > 0 ? 0 : told.perSecond;
  };
  try {
    const model = path.join(folder, 'vad.onnx');
    await writeFile(model, await MODELS.vad.bytes());
    for (const peer of PEERS) {
      const started = await startPeer(peer, folder, model);
      if (started !== undefined) running.push({ peer, ...started, most: new Map() });
    }
    for (let round = 0; round <= ROUNDS; round += 1) {
      const our = await ask(`tcp:${target.address.http}`, oipBinary('vad'));
      if (round > 0) ours.push(our);
      for (const { peer, ports, most } of running) {
        for (const form of peer.forms) {
          const perSecond = await ask(`tcp:${form === 'gRPC' ? ports.grpc : ports.http}`, requestIn(form));
          if (round > 0) most.set(form, [...(most.get(form) ?? []), perSecond]);
        }
      }
    }
    return [
      plain(`peers: Skerry, HTTP binary, ${CLIENTS} clients`, median(ours), 'requests/s'),
      ...running.flatMap(({ peer, most }) => figuresOf(peer, most, median(ours))),
    ];
  } finally {
    for (const { child } of running) await ended(child);
    await rm(folder, { recursive: true, force: true });
    await target.close();
  }
}

function figuresOf({ name, aim }: Peer, most: ReadonlyMap<string, readonly number[]>, ours: number): readonly Figure[] {
  const forms = [...most].map(([form, values]) => ({ form, perSecond: median(values) })).toSorted((a, b) => b.perSecond - a.perSecond);
  const [best] = forms;
  if (best === undefined || best.perSecond === 0) throw new Error(`${name} answered no form without failures`);
  const ratio = ours / best.perSecond;
  const what = `peers: Skerry / ${name}`;
  return [
    plain(`peers: ${name}, ${best.form}, ${CLIENTS} clients`, best.perSecond, 'requests/s'),
    aim === undefined ? plain(what, ratio, 'x') : atLeast(what, ratio, 'x', aim),
  ];
}

function requestIn(form: Peer['forms'][number]): LoadRequest {
  if (form === 'gRPC') return oipGrpc('vad');
  return form === 'JSON' ? oipJson('vad') : oipBinary('vad');
}

/** Installs and starts a server; undefined, with a word, where it cannot be had. */
async function startPeer(
  peer: Peer,
  folder: string,
  model: string,
): Promise<{ readonly child: ChildProcess; readonly ports: Ports } | undefined> {
  const environment = await installed(peer);
  if (environment === undefined) return undefined;
  const ports = { http: await freePort(), grpc: await freePort(), metrics: await freePort() };
  const { program, args } = await peer.start(folder, model, ports);
  const threads = { OMP_NUM_THREADS: '1', PYTHONPATH: SCRIPTS };
  const child = spawn(path.join(environment, 'bin', program), args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...threads },
  });
  let said = '';
  child.stderr.on('data', (part: Buffer) => (said = `${said}${part.toString()}`.slice(-2_000)));
  for (let look = 0; look < 120 && child.exitCode === null; look += 1) {
    const answer = await fetch(`http://127.0.0.1:${ports.http}${peer.ready}`).catch(() => undefined);
    if (answer?.ok === true) return { child, ports };
    await wait(500);
  }
  await ended(child);
  console.log(`left out: ${peer.name} did not start: ${said}`);
  return undefined;
}

/** A Python environment with the packages, in a folder of the cache named after the server; what is there is kept. */
async function installed({ name, packages }: Peer): Promise<string | undefined> {
  const home = process.env['SKERRY_BENCH_PEERS'] ?? path.join(os.homedir(), '.cache/skerry-bench-peers');
  const folder = path.join(home, packages[0]?.split('==')[0] ?? name);
  const mark = path.join(folder, '.installed');
  if ((await readFile(mark, 'utf8').catch(() => '')) === packages.join(' ')) return folder;
  await rm(folder, { recursive: true, force: true });
  await mkdir(home, { recursive: true });
  console.log(`installing ${packages.join(' ')} into ${folder}`);
  const pip = [path.join(folder, 'bin/pip'), 'install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:', ...packages];
  for (const [program = '', ...args] of [['python3', '-m', 'venv', folder], pip]) {
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    if (status === 0) continue;
    await rm(folder, { recursive: true, force: true });
    console.log(`left out: ${name} could not be installed: ${(stderr ?? '').trim().split('\n').at(-1) ?? ''}`);
    return undefined;
  }
  await writeFile(mark, packages.join(' '));
  return folder;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
