import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from '../kit/fleet.js';
import { sileroVad } from '../kit/silero.js';
import { Processes, PROJECT_ROOT, type RunningProcess } from '../kit/processes.js';
import { until } from '../kit/until.js';
import { BareRoot } from './bare-root.js';
import { fileEnding, must, shippedPackages, whyNot } from './tools.js';
import { agentUrl, firstPrediction, predictVad, publishVad } from './vad.js';

const reason = whyNot(['debootstrap', 'dpkg-deb', 'gcc', 'g++', 'strip', 'xz', 'unshare'], { root: true });
const DATA = '/var/lib/skerry-agent';
const BUILD = 600_000;

/** Folders in which an installed agent may write: its own, and dpkg's while it is installed. */
const OWN = [DATA, '/proc', '/dev', '/tmp'];
/** As on a device with little memory: models run in threads, the first of which comes up before it is asked for. */
const IN_THREADS = { SKERRY_AGENT_ISOLATION: 'thread' };

describe.skipIf(reason !== undefined)(`the .deb in a bare Debian${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let packages: { first: readonly string[]; second: readonly string[] };
  let root: BareRoot;
  let folder: string;
  let outside: Processes;
  let inside: Processes;
  let fleet: Fleet;
  let agent: RunningProcess;
  let url: string;
  let expected: readonly number[];

  beforeAll(async () => {
    [packages, root] = await Promise.all([shippedPackages(), BareRoot.make()]);
    folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-bare-'));
    outside = new Processes();
    inside = new Processes({ 'skerry-agent': root.command('/usr/bin/skerry-agent') });
    fleet = new Fleet({ folder, processes: outside });
    await fleet.startHub();
    await fleet.initTrust();
  }, BUILD);
  afterAll(async () => {
    await inside?.close();
    await outside?.close();
    await root?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  const start = async (env: NodeJS.ProcessEnv = {}): Promise<void> => {
    agent = inside.start('skerry-agent', ['launch', '--config', '/etc/skerry-agent/agent.yaml', '--http-port', '0', '--bake', '1s'], {
      logFile: path.join(folder, 'agent.log'),
      env,
    });
    const failed = agent.exited.then(async (code) => {
      throw new Error(`the agent ended with ${code}:\n${await agent.log()}`);
    });
    url = await Promise.race([agentUrl(root.inside(DATA), agent.pid), failed]);
    failed.catch(() => undefined);
  };
  const native = async (): Promise<string> => {
    const [digest] = await readdir(root.inside(`${DATA}/native`));
    return root.inside(`${DATA}/native/${digest}`);
  };

  it('is the same program, to the byte, when it is built again', async () => {
    const [first, again] = await Promise.all(
      [packages.first, packages.second].map(async (files) => sha256(await readFile(fileEnding(files, 'skerry-agent-linux-x64')))),
    );
    expect(packages.second).not.toEqual(packages.first);
    expect(again).toBe(first);
  });

  it('carries bill of materials, licences and checksums', async () => {
    const deb = fileEnding(packages.first, 'skerry-agent_0.1.0-1_amd64.deb');
    const sums = await readFile(fileEnding(packages.first, 'SHA256SUMS'), 'utf8');
    expect(sums).toContain(`${sha256(await readFile(deb))}  ${path.basename(deb)}`);
    const files = packages.first.map((file) => path.basename(file)).filter((file) => file !== 'SHA256SUMS');
    expect(sums.trimEnd().split('\n')).toHaveLength(files.length);
    expect(new Set(files).size).toBe(files.length);
    const listing = await must('dpkg-deb', ['-c', deb]);
    for (const file of ['sbom.cdx.json', 'third-party-licences.txt', 'copyright', 'changelog.gz', 'changelog.Debian.gz'])
      expect(listing).toContain(`/usr/share/doc/skerry-agent/${file}`);
    const packed = await must('sh', ['-c', 'dpkg-deb --fsys-tarfile "$0" | tar -xO ./usr/share/doc/skerry-agent/sbom.cdx.json', deb]);
    const bom = JSON.parse(packed) as { components: { name: string; version: string }[] };
    const database = new Database(':memory:');
    const [sqlite] = database.prepare('SELECT sqlite_version()').pluck().all();
    database.close();
    expect(bom.components.find(({ name }) => name === 'sqlite')?.version).toBe(sqlite);
    expect(bom.components.map(({ name }) => name)).toEqual(expect.arrayContaining(['node', 'better-sqlite3', 'onnxruntime-node']));
    // Every file belongs to root, whoever built it.
    expect(
      listing
        .trimEnd()
        .split('\n')
        .filter((line) => !line.includes(' 0/0 ') && !line.includes(' root/root ')),
    ).toEqual([]);
  });

  it('installs where there is no Node, no npm and no compiler', async () => {
    for (const tool of ['node', 'nodejs', 'npm', 'gcc', 'cc', 'python3']) {
      expect((await root.run(['sh', '-c', `command -v ${tool}`])).code, tool).not.toBe(0);
    }
    await root.install(fileEnding(packages.first, 'skerry-agent_0.1.0-1_amd64.deb'));
    expect(await root.must(['skerry-agent', '--version'])).toContain('0.1.0');
    expect(await root.must(['skerry-agent', '--help'])).toContain('enroll');
    expect((await root.run(['skerry-agent', 'status'])).code).not.toBe(0);
    const unenrolled = await root.run(['skerry-agent', 'run', '--data', '/tmp/nobody']);
    expect(unenrolled).toMatchObject({ code: 1, text: expect.stringContaining('skerry-agent enroll') as string });
    // No command, though every object has something of this name.
    expect(await root.run(['skerry-agent', 'constructor'])).toMatchObject({
      code: 2,
      text: expect.stringContaining('unknown command') as string,
    });
    // Those who are not root are told whose agent it is, and may have their own; one without a home has to say where.
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'env', '-i'];
    for (const command of ['status', 'enroll']) {
      expect(await root.run([...nobody, '/usr/bin/skerry-agent', command])).toEqual({
        code: 1,
        text: expect.stringContaining('call it with sudo') as string,
      });
    }
    expect((await root.run([...nobody, '/usr/bin/skerry-agent', 'run', '--help'])).code).toBe(0);
    const own = await root.run([...nobody, 'SKERRY_AGENT_DATA=/tmp/mine', '/usr/bin/skerry-agent', 'run']);
    expect(own).toMatchObject({ code: 1, text: expect.stringContaining('/tmp/mine holds no device identity') as string });
    const homeless = ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups', 'env', '-i', '/usr/lib/skerry-agent/skerry-agent'];
    expect(await root.run([...homeless, 'status'])).toMatchObject({ code: 2, text: expect.stringContaining('no home folder') as string });
    expect((await root.run([...homeless, 'status', '--data', '/tmp/mine'])).text).toContain('no agent runs with /tmp/mine');
    // None of these needs a native library, so none was unpacked.
    expect(await root.exists(`${DATA}/native`)).toBe(false);
  });

  it('enrols by its one command, as a user of its own', async () => {
    const before = await root.files(OWN);
    const { token } = (await fleet.command(['token', 'create', 'enrolment'])) as { token: string };
    await inside.json('skerry-agent', ['enroll', '--hub', fleet.hub.url, '--token', token, '--name', 'bare-1']);
    const { uid } = await stat(root.inside(`${DATA}/identity.json`));
    expect(uid).toBe(Number(await root.must(['id', '-u', 'skerry-agent'])));
    expect(uid).not.toBe(0);
    expect(await root.files(OWN)).toBe(before);
  });

  it('takes a model from the hub outside and predicts', async () => {
    const before = await root.files(OWN);
    await start();
    await publishVad(fleet);
    expected = await firstPrediction(url);
    expect(expected).toHaveLength(257);
    // No file outside its data folder.
    expect(await root.files(OWN)).toBe(before);
    expect(await readdir(await native())).toEqual(
      expect.arrayContaining(['better_sqlite3.node', 'libonnxruntime.so.1', 'onnxruntime_binding.node']),
    );
  });

  it('is killed, finds the hub gone and a library damaged, and predicts the same', async () => {
    await agent.kill();
    await fleet.hubProcess.kill();
    await truncate(path.join(await native(), 'libonnxruntime.so.1'), 1_000_000);
    await start();
    expect(await firstPrediction(url)).toEqual(expected);
    await fleet.startHub();
  });

  it('ends by itself when it is told to, ten times over', async () => {
    await agent.stop();
    for (let round = 0; round < 10; round += 1) {
      await start(IN_THREADS);
      await firstPrediction(url);
      // Those that came up before anybody asked for them, and no others.
      expect(await workersOf(agent.pid)).toEqual(['skerry-instance', 'skerry-store']);
      expect(await agent.stop()).toBe(0);
    }
  });

  it('only watches as the first process of a container: the threads of the agent come up in the process that is it', async () => {
    const first = ['unshare', '--pid', '--fork', '--kill-child', ...root.command('/usr/bin/skerry-agent')] as const;
    const container = new Processes({ 'skerry-agent': first });
    try {
      const pod = container.start('skerry-agent', ['launch', '--http-port', '0'], {
        logFile: path.join(folder, 'container.log'),
        env: IN_THREADS,
      });
      const [launcher, itself] = await until('the agent below its launcher', async () => {
        const [one] = await childrenOf(pod.pid);
        const [other] = one === undefined ? [] : await childrenOf(one);
        return one !== undefined && other !== undefined && ([one, other] as const);
      });
      const ready = async (): Promise<boolean> => (await workersOf(itself)).join() === 'skerry-instance,skerry-store';
      await until('the threads of the agent', ready);
      // Threads that are not asked for stay, waiting.
      expect(await workersOf(launcher)).toEqual([]);
      await until('the agent to run', async () => (await readFile(path.join(folder, 'container.log'), 'utf8')).includes('agent started'));
      process.kill(launcher, 'SIGTERM');
      expect(await pod.exited).toBe(0);
    } finally {
      await container.close();
    }
  });

  it('starts no threads in a launcher that is to become the release of a slot, and its own where that one is damaged', async () => {
    const file = `${DATA}/agents/a/skerry-agent`;
    const digest = sha256(Buffer.from('what was placed there'));
    const good = { slot: 'a', version: 2, manifest: digest, digest, release: '0.2.0' };
    const slots = { schema: 'skerry.slots/1', packaged: '0.1.0', good, before: null, trying: null, refused: null };
    await mkdir(path.dirname(root.inside(file)), { recursive: true });
    await writeFile(root.inside(`${DATA}/agents/slot.json`), JSON.stringify(slots));
    // A launcher that reads a pipe for its digest stands still while it is looked at.
    await root.must(['mkfifo', '--mode=0444', file]);
    await root.must(['chown', '-R', 'skerry-agent:', `${DATA}/agents`]);
    const launcher = inside.start('skerry-agent', ['launch', '--http-port', '0'], {
      logFile: path.join(folder, 'slot.log'),
      env: IN_THREADS,
    });
    const pipe = await until('the launcher to look into the slot', () =>
      open(root.inside(file), constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined),
    );
    try {
      expect(await workersOf(launcher.pid)).toEqual([]);
    } finally {
      await pipe.close();
    }
    await agentUrl(root.inside(DATA), launcher.pid);
    expect(await workersOf(launcher.pid)).toEqual(['skerry-instance', 'skerry-store']);
    expect(await launcher.stop()).toBe(0);
    expect(await readFile(path.join(folder, 'slot.log'), 'utf8')).toContain('UPDATE_FILE_DAMAGED');
    await rm(root.inside(`${DATA}/agents`), { recursive: true });
  });

  it('unpacks safely when two processes start at once', async () => {
    await rm(root.inside(`${DATA}/native`), { recursive: true });
    const both = await Promise.all([1, 2].map(() => root.run(['skerry-agent', 'doctor', '--json'])));
    for (const { text } of both) expect(text).toMatch(/"runtime","verdict":"good"|"name": "runtime",\s+"verdict": "good"/);
    // Node's flags, the engine and the code cache in it fit each other.
    expect(both[0]?.text).toContain(' for linux-x64, compiled beforehand');
    expect((await readdir(await native())).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('says what is wrong when the disk is full or read-only', async () => {
    const on = (options: string): Promise<{ text: string }> =>
      root.run([
        'sh',
        '-c',
        `mkdir /tmp/d && mount -t tmpfs -o ${options} none /tmp/d && SKERRY_AGENT_DATA=/tmp/d skerry-agent doctor --json`,
      ]);
    const full = await on('size=8m');
    expect(full.text).toContain('DISK_FULL');
    expect(full.text).toMatch(/libonnxruntime\.so\.1 \(44 MiB\) could not be unpacked into/);
    expect((await on('ro')).text).toContain('NATIVE_UNWRITABLE');
    expect((await on('noexec')).text).toContain('NATIVE_REFUSED');
  });

  it('tells the service manager when it is ready, alive and ending', async () => {
    const heard = path.join(folder, 'heard');
    const listener = [
      'use IO::Socket::UNIX; use Socket;',
      'unlink "/opt/notify"; my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "/opt/notify") or die $!; chmod 0666, "/opt/notify";',
      '$| = 1; print "listening\\n"; while (1) { $s->recv(my $m, 1024); print "$m\\n"; last if $m =~ /STOPPING/ }',
    ].join(' ');
    const perl = new Processes({ skerry: root.command('perl', '-e', listener) });
    const listening = perl.start('skerry', [], { logFile: heard });
    await until('the listener', async () => (await readFile(heard, 'utf8')).includes('listening'));
    agent = inside.start('skerry-agent', ['run', '--http-port', '0'], {
      logFile: path.join(folder, 'agent.log'),
      env: { NOTIFY_SOCKET: '/opt/notify', WATCHDOG_USEC: '300000' },
    });
    await until('three beats', async () => (await readFile(heard, 'utf8')).split('WATCHDOG=1').length > 3);
    await agent.stop();
    await listening.exited;
    const lines = (await readFile(heard, 'utf8')).trimEnd().split('\n').slice(1);
    expect([lines[0], lines.at(-1)]).toEqual(['READY=1', 'STOPPING=1']);
  });

  it('keeps its state and its settings through an upgrade', async () => {
    const identity = await readFile(root.inside(`${DATA}/identity.json`), 'utf8');
    await writeFile(root.inside('/etc/skerry-agent/agent.yaml'), 'socket: none\n');
    await root.install(fileEnding(packages.second, 'skerry-agent_0.1.0-2_amd64.deb'));
    expect(await root.must(['dpkg-query', '-W', '-f', '${Version}', 'skerry-agent'])).toBe('0.1.0-2');
    expect(await readFile(root.inside(`${DATA}/identity.json`), 'utf8')).toBe(identity);
    expect(await readFile(root.inside('/etc/skerry-agent/agent.yaml'), 'utf8')).toBe('socket: none\n');
    await start();
    expect(await firstPrediction(url)).toEqual(expected);
    expect(JSON.parse(await readFile(root.inside(`${DATA}/agent.json`), 'utf8'))).toMatchObject({ socket: null });
    await agent.stop();
  });

  it('runs as the container does: enrolled by its entry point, as nobody of importance', async () => {
    await copyFile(path.join(PROJECT_ROOT, 'packaging/container/agent-entrypoint.sh'), root.inside('/opt/agent-entrypoint'));
    await root.must(['install', '-d', '-o', 'skerry-agent', '/opt/container']);
    const { token } = (await fleet.command(['token', 'create', 'enrolment'])) as { token: string };
    const user = ['setpriv', '--reuid=skerry-agent', '--regid=skerry-agent', '--clear-groups', '--no-new-privs'];
    const variables = [
      'SKERRY_AGENT_DATA=/opt/container',
      `SKERRY_HUB=${fleet.hub.url}`,
      `SKERRY_ENROLL_TOKEN=${token}`,
      'SKERRY_LABELS=kind=gpu,site=lab',
    ];
    const container = new Processes({ 'skerry-agent': root.command(...user, 'env', ...variables, '/opt/agent-entrypoint') });
    try {
      const pod = container.start('skerry-agent', ['--http-port', '0'], { logFile: path.join(folder, 'container.log') });
      await agentUrl(root.inside('/opt/container'), pod.pid);
      expect(JSON.parse(await readFile(root.inside('/opt/container/identity.json'), 'utf8'))).toMatchObject({
        labels: { kind: 'gpu', site: 'lab' },
      });
      expect(await pod.stop()).toBe(0);
    } finally {
      await container.close();
    }
  });

  it('leaves state and settings when it is removed, and nothing when it is purged', async () => {
    await root.must(['dpkg', '-r', 'skerry-agent']);
    expect(await root.exists('/usr/bin/skerry-agent')).toBe(false);
    expect(await root.exists(`${DATA}/identity.json`)).toBe(true);
    expect(await root.exists('/etc/skerry-agent/agent.yaml')).toBe(true);
    await root.must(['dpkg', '-P', 'skerry-agent']);
    expect(await root.exists(DATA)).toBe(false);
    expect(await root.exists('/etc/skerry-agent')).toBe(false);
    await rm(root.inside('/opt'), { recursive: true });
    await mkdir(root.inside('/opt'));
    const left = await root.must(['sh', '-c', 'find / -xdev -name "*skerry-agent*" -not -path "/proc/*"']);
    expect(left.trim()).toBe('');
  });

  it('has a disk that is mounted for its state to itself, and empties it when it is purged', async () => {
    const deb = fileEnding(packages.first, 'skerry-agent_0.1.0-1_amd64.deb');
    await copyFile(deb, root.inside('/opt/agent.deb'));
    const script = `set -e
      mkdir -p ${DATA}; mount -t tmpfs none ${DATA}
      dpkg -i /opt/agent.deb >/dev/null
      stat -c '%U %a' ${DATA}
      touch ${DATA}/identity.json ${DATA}/.hidden; mkdir ${DATA}/store
      dpkg -P skerry-agent >/dev/null
      ls -A ${DATA} | wc -l
      umount ${DATA}; rmdir ${DATA}
      mkdir /opt/elsewhere; touch /opt/elsewhere/other; ln -s /opt/elsewhere ${DATA}
      dpkg -i /opt/agent.deb >/dev/null
      dpkg -P skerry-agent 2>&1 >/dev/null
      ls -A /opt/elsewhere; test ! -L ${DATA}`;
    const [mode, left, said, kept] = (await root.must(['sh', '-c', script])).split('\n');
    expect({ mode, left, kept }).toEqual({ mode: 'skerry-agent 700', left: '0', kept: 'other' });
    expect(said).toContain('what /opt/elsewhere holds stays');
    expect(await root.exists('/etc/skerry-agent')).toBe(false);
    await root.must(['rm', '-r', '/opt/elsewhere', '/opt/agent.deb']);
  });

  it('installs from the plain archive as well, and leaves nothing', async () => {
    await must('tar', ['-xzf', fileEnding(packages.first, 'skerry-agent-0.1.0-linux-x64.tar.gz'), '-C', root.inside('/opt')]);
    const unpacked = '/opt/skerry-agent-0.1.0-linux-x64';
    const installer = `${unpacked}/install.sh`;
    expect(await root.must([installer, '--help'])).toContain('--purge');
    // As older Debian systems have it, for the group staff.
    await root.must(['chmod', '2775', '/usr/local/bin']);
    await root.must([installer]);
    expect(await root.must(['skerry-agent', '--version'])).toContain('0.1.0');
    await root.must([installer]);
    expect((await root.must(['stat', '-c', '%a', '/usr/local/bin'])).trim()).toBe('2775');
    // An archive for another processor changes nothing of what works.
    await root.must(['sh', '-c', `mv ${unpacked}/skerry-agent /opt/kept; printf '\\177ELF' > ${unpacked}/skerry-agent`]);
    expect(await root.run([installer])).toMatchObject({
      code: 1,
      text: expect.stringContaining('take the archive for its processor') as string,
    });
    await root.must(['mv', '/opt/kept', `${unpacked}/skerry-agent`]);
    expect(await root.must(['skerry-agent', '--version'])).toContain('0.1.0');
    await root.must([installer, '--purge']);
    const left = await root.must(['sh', '-c', 'find / -xdev -path /opt -prune -o -name "*skerry-agent*" -not -path "/proc/*" -print']);
    expect(left.trim()).toBe('');
  });

  it('has a hub beside it that needs no Node either', async () => {
    await root.install(fileEnding(packages.first, 'skerry-hub_0.1.0-1_amd64.deb'));
    const programs = new Processes({ skerry: root.command('env', 'SKERRY_HUB_DATA=/var/lib/skerry-hub', '/usr/bin/skerry') });
    try {
      const log = path.join(folder, 'packaged-hub.log');
      const hub = programs.start('skerry', ['hub', 'run', '--http-port', '0', '--mqtt-port', '0'], { logFile: log });
      const state = await until('the packaged hub', async () => {
        const found = JSON.parse(await readFile(root.inside('/var/lib/skerry-hub/hub.json'), 'utf8')) as { pid: number; httpUrl: string };
        return found.pid === hub.pid && found;
      });
      expect((await fetch(`${state.httpUrl}/readyz`)).status).toBe(200);
      await writeFile(root.inside('/opt/vad.onnx'), await readFile(sileroVad('v5')));
      expect(await programs.json('skerry', ['inspect', '/opt/vad.onnx'])).toMatchObject({ opset: expect.any(Number) as number });
      expect(await hub.stop()).toBe(0);
    } finally {
      await programs.close();
    }
  });

  it('predicted what the same model predicts from source', async () => {
    const agents = new Fleet({ folder: path.join(folder, 'source'), processes: outside });
    await agents.startHub();
    await agents.initTrust();
    const device = await agents.enrol('source-1', {});
    await publishVad(agents);
    await firstPrediction(device.url);
    const values = await predictVad(device.url);
    expect(values).toHaveLength(expected.length);
    for (const [i, value] of values.entries()) expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 5);
  });
});

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = await Promise.all(
    pids.map(async (each) => {
      const line = await readFile(`/proc/${each}/stat`, 'utf8').catch(() => '');
      // The fields after the name, which stands in brackets: state, parent (proc(5)).
      return Number(line.slice(line.lastIndexOf(')') + 2).split(' ')[1]);
    }),
  );
  return pids.filter((_each, at) => parents[at] === pid);
}

/** Worker threads of a process, by name. */
async function workersOf(pid: number): Promise<readonly string[]> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const names = await Promise.all(tasks.map(async (task) => (await readFile(`/proc/${pid}/task/${task}/comm`, 'utf8')).trim()));
  return names.filter((name) => name.startsWith('skerry-')).toSorted();
}
