import { rm, stat, statfs } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { seconds } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { makeFolder } from '#shared/kernel/make-folder.js';
import { type PackagedProgram, packagedProgram } from '#shared/kernel/packaged-program.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { formatBytes, formatDuration } from '#shared/terminal/format.js';
import { shellQuote } from '#shared/terminal/shell-quote.js';
import { findRunning } from '../running.js';
import { type Identity, readIdentity } from '../sync/identity.js';
import { probeRuntime } from './runtime-probe.js';

export interface Finding {
  readonly name: string;
  readonly verdict: 'good' | 'doubtful' | 'bad';
  readonly says: string;
  readonly advice?: string;
}

/** Free space below which a model update is likely to fail. */
const LITTLE_SPACE = 256 * 1024 * 1024;
const CLOCK_TOLERANCE = 5 * 60_000;
const NETWORK_TIMEOUT = seconds(5);

/** Looks at everything the agent needs, one finding after the other; a check that throws is a finding as well. */
export async function* examine(data: string): AsyncGenerator<Finding> {
  const identity = await readIdentity(data).catch(() => undefined);
  const program = packagedProgram();
  const checks: readonly (readonly [string, () => Promise<Finding>])[] = [
    ['data', () => checkFolder(data)],
    ['disk', () => checkDisk(data)],
    ['identity', () => checkIdentity(data)],
    ['runtime', () => checkRuntime()],
    ...(program === undefined ? [] : ([['program', () => checkProgram(program)]] as const)),
    ...(identity === undefined
      ? []
      : ([
          ['hub', () => checkHub(identity)],
          ['broker', () => checkBroker(identity)],
        ] as const)),
    ['agent', () => checkAgent(data)],
  ];
  for (const [name, check] of checks) {
    yield await check().catch((cause: unknown): Finding => {
      const error = asSkerryError(cause);
      return { name, verdict: 'bad', says: error.message, advice: `${error.entry.action} [${error.code}]` };
    });
  }
}

async function checkFolder(data: string): Promise<Finding> {
  await makeFolder(data);
  const probe = join(data, `.probe-${process.pid}`);
  await writeFileAtomic(probe, 'probe');
  await rm(probe, { force: true });
  return { name: 'data', verdict: 'good', says: `${data} can be written` };
}

async function checkDisk(data: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(data);
  const free = bavail * bsize;
  const says = `${formatBytes(free)} free`;
  if (free >= LITTLE_SPACE) return { name: 'disk', verdict: 'good', says };
  return { name: 'disk', verdict: 'doubtful', says, advice: 'Updates stop when the disk is full; what serves keeps serving.' };
}

async function checkIdentity(data: string): Promise<Finding> {
  const identity = await readIdentity(data);
  if (identity === undefined) throw new SkerryError('SYNC_NOT_ENROLLED', `${data} holds no device identity`);
  const { mode } = await stat(join(data, 'identity.json'));
  const says = `${identity.device} in fleet ${identity.fleet}, enrolled ${identity.enrolledAt}`;
  if ((mode & 0o077) === 0) return { name: 'identity', verdict: 'good', says };
  return { name: 'identity', verdict: 'doubtful', says, advice: 'Others on this machine can read identity.json: chmod 600 it.' };
}

async function checkRuntime(): Promise<Finding> {
  const { name, version, providers } = await probeRuntime();
  return { name: 'runtime', verdict: 'good', says: `${name} ${version} loads and offers ${providers.join(', ')}` };
}

const CODE_CACHE = {
  used: 'compiled beforehand',
  none: 'compiled as it is called',
  refused: 'what was compiled beforehand is refused',
} as const;

async function checkProgram(program: PackagedProgram): Promise<Finding> {
  const { platform, arch } = process;
  const cache = program.codeCache();
  const finding = { name: 'program', says: `${program.file}, ${SKERRY_VERSION} for ${platform}-${arch}, ${CODE_CACHE[cache]}` };
  if (cache !== 'refused') return { ...finding, verdict: 'good' };
  return { ...finding, verdict: 'doubtful', advice: 'It works, and starts more slowly; the engine is not the one it was built for.' };
}

/** Any answer will do: it says that the hub is there, and what time it has. */
async function checkHub({ hub, mqtt }: Identity): Promise<Finding> {
  const date = await headDate(new URL(hub), mqtt.ca);
  const offset = date === undefined ? 0 : date - Date.now();
  if (Math.abs(offset) < CLOCK_TOLERANCE) return { name: 'hub', verdict: 'good', says: `${hub} answers, and the clocks agree` };
  const says = `${hub} answers; the clocks differ by ${formatDuration(Math.abs(offset))}`;
  return { name: 'hub', verdict: 'doubtful', says, advice: 'Set the clock that is wrong: expiry is judged by it.' };
}

function headDate(url: URL, ca: string | undefined): Promise<number | undefined> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const options = { method: 'HEAD', timeout: NETWORK_TIMEOUT, agent: false as const, ...(ca === undefined ? {} : { ca }) };
    const request = send(url, options, (response) => {
      response.resume();
      const date = Date.parse(response.headers.date ?? '');
      resolve(Number.isNaN(date) ? undefined : date);
    });
    request.once('timeout', () => request.destroy(new SkerryError('TIMEOUT', 'no answer')));
    request.once('error', (cause) =>
      reject(new SkerryError('SYNC_OFFLINE', `the hub at ${url.origin} does not answer: ${cause.message}`, { cause })),
    );
    request.end();
  });
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'mqtt:': 1883, 'mqtts:': 8883, 'ws:': 80, 'wss:': 443 };

/** Only whether somebody listens: a second session with the device's id would end the first one. */
function checkBroker({ mqtt }: Identity): Promise<Finding> {
  const url = new URL(mqtt.url);
  const port = url.port === '' ? (DEFAULT_PORTS[url.protocol] ?? 1883) : Number(url.port);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port, timeout: NETWORK_TIMEOUT });
    const fail = (reason: string): void => {
      socket.destroy();
      reject(new SkerryError('SYNC_OFFLINE', `the broker at ${url.host} does not answer: ${reason}`));
    };
    socket.once('connect', () => {
      socket.destroy();
      resolve({ name: 'broker', verdict: 'good', says: `${url.host} listens` });
    });
    socket.once('timeout', () => fail('no answer'));
    socket.once('error', (cause) => fail(cause.message));
  });
}

async function checkAgent(data: string): Promise<Finding> {
  const running = await findRunning(data);
  if (running !== undefined) return { name: 'agent', verdict: 'good', says: `runs as process ${running.pid}, version ${running.version}` };
  return {
    name: 'agent',
    verdict: 'doubtful',
    says: 'does not run',
    advice: `Start its service, or by hand: skerry-agent run --data ${shellQuote(data)}`,
  };
}
