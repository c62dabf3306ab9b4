import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentStatus } from '#agent/contract.js';
import type { Slots } from '#agent/update/slots.js';
import { World } from '../e2e/world.js';
import { affineModel } from '../kit/onnx-models.js';
import { BootedRoot, whyNoSystemd } from './booted-root.js';
import { buildReleases, type Fault, type Releases } from './releases.js';
import { shippedPackages, fileEnding, whyNot } from './tools.js';
import { Unit } from './unit.js';

const TOOLS = ['debootstrap', 'dpkg-deb', 'gcc', 'g++', 'strip', 'xz', 'unshare', 'nsenter', 'setpriv', 'pivot_root'];
const reason = whyNot(TOOLS, { root: true }) ?? whyNoSystemd();
const BUILD = 900_000;
const DATA = '/var/lib/skerry-agent';
const PROGRAM = '/usr/lib/skerry-agent/skerry-agent';
const X = [1, 2, 3, 4];
const RIGHT = [3, 5, 7, 9];

/** Exposure that `systemd-analyze security` of Debian 12 may count at most; packaging/README.md says what it is. */
const MOST_EXPOSED = 2;

const SETTINGS = [
  'http-port: 0',
  'bake: 300ms',
  'reconnect-max: 300ms',
  'keepalive: 5s',
  'update-bake: 4s',
  // Also how long a release that hangs keeps the test waiting, each time it is tried.
  'update-alive: 10s',
  '',
].join('\n');

describe.skipIf(reason !== undefined)(`the packages under systemd${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let folder: string;
  let packages: { first: readonly string[]; second: readonly string[] };
  let releases: Releases;
  let world: World;
  let root: BootedRoot;
  let agent: Unit;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-systemd-'));
    [packages, root] = await Promise.all([shippedPackages(), BootedRoot.boot(path.join(folder, 'boot.log'))]);
    releases = await buildReleases(path.join(folder, 'releases'));
    world = await World.start({ trustArgs: ['--agent'] });
    agent = new Unit(root, 'skerry-agent.service');
  }, BUILD);
  afterAll(async () => {
    await root?.remove();
    await world?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const predict = async (): Promise<readonly number[]> => {
    const response = await fetch(`${await agent.url()}/v2/models/m/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: X }] }),
    });
    return ((await response.json()) as { outputs?: { data: number[] }[] }).outputs?.[0]?.data ?? [];
  };
  const serves = (): Promise<boolean> => agent.until('to serve the model', async () => (await predict()).join() === RIGHT.join());
  const status = async (): Promise<AgentStatus> => (await (await fetch(`${await agent.url()}/skerry/v1/status`)).json()) as AgentStatus;
  const slots = async (): Promise<Slots> => JSON.parse(await readFile(root.inside(`${DATA}/agents/slot.json`), 'utf8')) as Slots;
  const executable = async (): Promise<string> => (await root.must(['readlink', `/proc/${await agent.mainPid()}/exe`])).trim();
  const restarts = async (): Promise<number> => Number((await agent.show('NRestarts')).NRestarts);
  const started = async (): Promise<{ readonly pid: number; readonly atMicros: number }> => {
    const { ExecMainPID, ExecMainStartTimestampMonotonic } = await agent.show('ExecMainPID', 'ExecMainStartTimestampMonotonic');
    return { pid: Number(ExecMainPID), atMicros: Number(ExecMainStartTimestampMonotonic) };
  };
  const kill = (signal: string): Promise<string> => root.must(['systemctl', 'kill', '--kill-whom=main', `--signal=${signal}`, agent.name]);
  const roll = async (version: number, fault: Fault): Promise<void> => {
    const release = `0.2.${version}`;
    await world.fleet.publishAgent([await releases.make(release, fault)], ['--version', `${version}`, '--release', release]);
    await world.deploy(`skerry-agent@${version}`);
  };
  /** Waits until the agent has made up its mind about a release of itself, and nothing of it is left to be done. */
  const settled = (version: number, install: 'good' | 'bad'): Promise<{ readonly code: string | undefined }> =>
    agent.until(`to call release ${version} ${install}`, async () => {
      const { models } = (await status()).reported;
      const release = models.find(({ model }) => model === 'skerry-agent')?.versions.find((entry) => entry.version === version);
      const { trying, refused } = await slots();
      return release?.install === install && trying === null && refused === null && { code: release.error?.code };
    });

  it('is a system whose process 1 is systemd, all of it up', async () => {
    expect((await root.must(['cat', '/proc/1/comm'])).trim()).toBe('systemd');
    const { text } = await root.run(['systemctl', 'list-units', '--failed', '--no-legend', '--plain']);
    expect(text).toBe('');
  });

  it('is installed, enabled, and waits to be enrolled', async () => {
    await root.install(fileEnding(packages.first, 'skerry-agent_0.1.0-1_amd64.deb'));
    expect((await root.must(['systemctl', 'is-enabled', agent.name, 'skerry-agent-enrolled.path'])).split('\n').slice(0, 2)).toEqual([
      'enabled',
      'enabled',
    ]);
    expect(await agent.show('ActiveState', 'ConditionResult')).toEqual({ ActiveState: 'inactive', ConditionResult: 'no' });
    expect(await new Unit(root, 'skerry-agent-enrolled.path').show('ActiveState')).toEqual({ ActiveState: 'active' });
  });

  it('has units that systemd understands', async () => {
    const { text } = await root.run(['systemd-analyze', 'verify', '--man=no', agent.name, 'skerry-agent-enrolled.path']);
    // Back-off has names that only newer releases know.
    const lines = text.split('\n').filter((line) => line !== '' && !/RestartSteps|RestartMaxDelaySec/.test(line));
    expect(lines).toEqual([]);
  });

  it('starts by itself once it is enrolled', async () => {
    await writeFile(root.inside('/etc/skerry-agent/agent.yaml'), SETTINGS);
    const { token } = (await world.fleet.command(['token', 'create', 'enrolment'])) as { token: string };
    await root.must(['skerry-agent', 'enroll', '--hub', world.fleet.hub.url, '--token', token, '--name', 'unit-1']);
    await agent.active();
    expect(await agent.show('Type', 'NRestarts', 'Result')).toEqual({ Type: 'notify', NRestarts: '0', Result: 'success' });
    expect(await executable()).toBe(PROGRAM);
  });

  it('takes a model from a hub outside, predicts, and says so to systemd', async () => {
    await world.publish('m', 1, affineModel({ scale: 2 }), ['--samples', '1']);
    await world.deploy('m@1');
    await serves();
    await agent.until('to say how it is', async () => (await agent.show('StatusText')).StatusText === 'release 0.1.0, online; serves m@1');
  });

  it('runs as a user of its own, and may do little', async () => {
    expect(
      await agent.show('User', 'NoNewPrivileges', 'ProtectSystem', 'ProtectHome', 'PrivateTmp', 'WatchdogUSec', 'StartLimitIntervalUSec'),
    ).toEqual({
      User: 'skerry-agent',
      NoNewPrivileges: 'yes',
      ProtectSystem: 'strict',
      ProtectHome: 'yes',
      PrivateTmp: 'yes',
      WatchdogUSec: '1min',
      StartLimitIntervalUSec: '0',
    });
    const pid = await agent.mainPid();
    const uid = (await root.must(['id', '-u', 'skerry-agent'])).trim();
    const own = await root.must(['cat', `/proc/${pid}/status`]);
    expect(uid).not.toBe('0');
    expect(own).toMatch(new RegExp(`^Uid:\\s+${uid}\\s+${uid}\\s+${uid}\\s+${uid}$`, 'm'));
    expect(own).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(own).toMatch(/^CapEff:\s+0{16}$/m);
    expect(own).toMatch(/^CapBnd:\s+0{16}$/m);
    // A filter of system calls.
    expect(own).toMatch(/^Seccomp:\s+2$/m);
    // Of what lies on a disk it may write its own folder; /tmp and /var/tmp are nobody else's.
    const mounts = (await root.must(['cat', `/proc/${pid}/mountinfo`]))
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' '));
    const writable = mounts.filter(([, , , , , options = '']) => options.split(',').includes('rw')).map(([, , , , at]) => at);
    expect(mounts.find(([, , , , at]) => at === '/')?.[5]).toMatch(/^ro,/);
    expect(writable).toContain(DATA);
    const places = writable.filter((at) => at !== undefined && /^\/(usr|etc|boot|home|root|var)(\/|$)/.test(at));
    expect(new Set(places)).toEqual(new Set([DATA, '/var/tmp']));
  });

  it('is held to its share of the memory by the kernel, where the machine lends the means', async () => {
    const { MemoryMax, TasksMax, ControlGroup } = await agent.show('MemoryMax', 'TasksMax', 'ControlGroup');
    const half = os.totalmem() / 2;
    expect(Number(MemoryMax)).toBeGreaterThan(0);
    expect(Number(MemoryMax)).toBeLessThanOrEqual(half * 1.01);
    expect(TasksMax).toBe('256');
    const limits = [`/sys/fs/cgroup${ControlGroup}/memory.max`, `/sys/fs/cgroup/memory${ControlGroup}/memory.limit_in_bytes`];
    const { text } = await root.run(['sh', '-c', 'for file; do [ ! -e "$file" ] || cat "$file"; done', 'sh', ...limits]);
    const found = text.split('\n').filter((line) => line !== '');
    const offers = await root.run(['sh', '-c', 'grep -qw memory /sys/fs/cgroup/cgroup.controllers || [ -d /sys/fs/cgroup/memory ]']);
    expect(found).toHaveLength(offers.code === 0 ? 1 : 0);
    expect(found.every((limit) => Math.abs(Number(limit) - Number(MemoryMax)) < 65_536)).toBe(true);
  });

  it('is counted as little exposed', async () => {
    expect(await agent.exposure()).toBeLessThanOrEqual(MOST_EXPOSED);
  });

  it('is ended by the watchdog when it hangs, and started again', async () => {
    const before = await agent.mainPid();
    // Without the minute that the unit gives it; the process of before learned of a minute.
    await agent.override('[Service]\nWatchdogSec=10\n');
    await root.must(['systemctl', 'restart', agent.name]);
    const pid = await agent.active(before);
    await serves();
    const count = await restarts();
    await kill('SIGSTOP');
    await agent.active(pid);
    expect(await restarts()).toBeGreaterThan(count);
    expect(await agent.journal()).toMatch(/Watchdog timeout/);
    await serves();
    await agent.override('');
  });

  it('is started again when it is killed, after a pause, however often', async () => {
    // Debian's limit is 5 starts in 10 seconds, and a device nobody visits cannot wait for an administrator.
    for (let round = 0; round < 6; round += 1) {
      const [before, count] = [await started(), await restarts()];
      await kill('SIGKILL');
      await agent.active(before.pid);
      expect(await restarts()).toBe(count + 1);
      // RestartSec; that it grows takes a later systemd than Debian 12 has.
      expect((await started()).atMicros - before.atMicros).toBeGreaterThanOrEqual(500_000);
    }
    await serves();
  });

  it('becomes another release without systemd noticing more than its words', async () => {
    const before = await agent.show('MainPID', 'NRestarts', 'ActiveEnterTimestampMonotonic');
    await roll(2, 'none');
    await settled(2, 'good');
    expect(await executable()).toBe(`${DATA}/agents/a/skerry-agent`);
    expect(await agent.show('MainPID', 'NRestarts', 'ActiveEnterTimestampMonotonic')).toEqual(before);
    expect(await agent.show('ActiveState', 'Result', 'User')).toEqual({ ActiveState: 'active', Result: 'success', User: 'skerry-agent' });
    await serves();
    await agent.until('to say how it is', async () => (await agent.show('StatusText')).StatusText === 'release 0.2.2, online; serves m@1');
  });

  it('is watched as well once it is another release', async () => {
    const pid = await agent.active();
    await agent.override('[Service]\nWatchdogSec=10\n');
    await root.must(['systemctl', 'restart', agent.name]);
    const restarted = await agent.active(pid);
    expect(await executable()).toBe(`${DATA}/agents/a/skerry-agent`);
    await kill('SIGSTOP');
    await agent.active(restarted);
    expect(await executable()).toBe(`${DATA}/agents/a/skerry-agent`);
    await agent.override('');
  });

  it.each([
    { fault: 'crash', version: 3 },
    { fault: 'hang', version: 4 },
  ] as const)('goes back by itself from a release with fault $fault, and is not given up', async ({ fault, version }) => {
    const count = await restarts();
    await roll(version, fault);
    expect(await settled(version, 'bad')).toEqual({ code: 'UPDATE_EXITED' });
    await serves();
    expect(await executable()).toBe(`${DATA}/agents/a/skerry-agent`);
    expect(await slots()).toMatchObject({ good: { slot: 'a', version: 2 }, trying: null, refused: null });
    expect((await status()).version).toBe('0.2.2');
    // As often as a release is tried.
    expect((await restarts()) - count).toBe(3);
    expect(await agent.show('ActiveState', 'SubState')).toEqual({ ActiveState: 'active', SubState: 'running' });
    expect(await agent.journal()).not.toMatch(/start-limit|Start request repeated too quickly/);
  });

  it('comes back by itself after the power was cut', async () => {
    await root.cutPower();
    await root.powerOn();
    await agent.active();
    await serves();
    expect(await executable()).toBe(`${DATA}/agents/a/skerry-agent`);
    expect(await agent.show('NRestarts', 'Result')).toEqual({ NRestarts: '0', Result: 'success' });
  });

  it('keeps state, settings and release through an upgrade, and runs afterwards', async () => {
    const pid = await agent.active();
    const identity = await readFile(root.inside(`${DATA}/identity.json`), 'utf8');
    await root.install(fileEnding(packages.second, 'skerry-agent_0.1.0-2_amd64.deb'));
    await agent.active(pid);
    expect(await readFile(root.inside(`${DATA}/identity.json`), 'utf8')).toBe(identity);
    expect(await readFile(root.inside('/etc/skerry-agent/agent.yaml'), 'utf8')).toBe(SETTINGS);
    await serves();
    expect(await executable()).toBe(`${DATA}/agents/a/skerry-agent`);
    expect((await root.must(['systemctl', 'is-enabled', agent.name])).trim()).toBe('enabled');
  });

  it('is stopped in order when it is removed', async () => {
    await root.must(['dpkg', '-r', 'skerry-agent']);
    expect(await agent.show('ActiveState', 'MainPID')).toEqual({ ActiveState: 'inactive', MainPID: '0' });
    expect(await agent.journal()).toContain('"signal":"SIGTERM"');
    expect(await agent.journal(5)).toMatch(/Deactivated successfully/);
    expect(await root.exists(`${DATA}/identity.json`)).toBe(true);
    expect((await root.run(['find', '/proc', '-maxdepth', '1', '-user', 'skerry-agent'])).text).toBe('');
  });

  it('leaves nothing when it is purged', async () => {
    await root.must(['dpkg', '-P', 'skerry-agent']);
    expect(await root.exists(DATA)).toBe(false);
    expect(await root.exists('/etc/skerry-agent')).toBe(false);
    expect(await agent.show('LoadState')).toEqual({ LoadState: 'not-found' });
    expect((await root.run(['systemctl', 'list-unit-files', '--no-legend', 'skerry-agent*'])).text).toBe('');
  });

  it('has a hub that is a service as well', async () => {
    const hub = new Unit(root, 'skerry-hub.service');
    // Its standard ports may be somebody else's on this machine.
    await hub.override('[Service]\nEnvironment=SKERRY_HUB_HTTP_PORT=0 SKERRY_HUB_MQTT_PORT=0\n');
    await root.install(fileEnding(packages.first, 'skerry-hub_0.1.0-1_amd64.deb'));
    const pid = await hub.active();
    const { httpUrl } = JSON.parse(await readFile(root.inside('/var/lib/skerry-hub/hub.json'), 'utf8')) as { httpUrl: string };
    expect((await fetch(`${httpUrl}/readyz`)).status).toBe(200);
    await hub.until('to say where it is', async () => (await hub.show('StatusText')).StatusText === `release 0.1.0 at ${httpUrl}`);
    expect(await hub.show('User', 'NRestarts')).toEqual({ User: 'skerry-hub', NRestarts: '0' });
    expect(await hub.exposure()).toBeLessThanOrEqual(MOST_EXPOSED);
    await root.must(['systemctl', 'kill', '--kill-whom=main', '--signal=SIGKILL', hub.name]);
    await hub.active(pid);
    await root.must(['dpkg', '-P', 'skerry-hub']);
    expect(await hub.show('ActiveState')).toEqual({ ActiveState: 'inactive' });
    expect(await root.exists('/var/lib/skerry-hub')).toBe(false);
  });
});
