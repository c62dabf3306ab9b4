import { chmod, copyFile, mkdir, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentStatus } from '#agent/contract.js';
import { SlotFolder } from '#agent/update/slot-folder.js';
import { noSlots, type SlotName, type SlotRelease, slotsSchema } from '#agent/update/slots.js';
import { digestFile } from '#shared/bundle/digest.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import type { SelfUpdate } from '#shared/protocol/device.js';
import { Fleet } from '../kit/fleet.js';
import { Processes, type RunningProcess } from '../kit/processes.js';
import { until } from '../kit/until.js';
import { ARM_CPUINFO, emulated, emulatedWithExec, whyNoExec } from './emulator.js';
import { buildPackages, fileEnding, must, whyNot } from './tools.js';
import { agentUrl, firstPrediction, publishVad } from './vad.js';

const TOOLS = ['qemu-aarch64-static', 'aarch64-linux-gnu-gcc', 'aarch64-linux-gnu-g++', 'aarch64-linux-gnu-strip', 'unshare'];
const reason = whyNot(TOOLS, { root: true });
const noExec = reason ?? whyNoExec();
const BUILD = 600_000;
/** An emulated processor is some twenty times slower. */
const SLOW = 180_000;

/** A release that hangs before anything of the agent runs. */
const HANGS = 'int main(void) { for (;;) pause(); }';
const ANY_MANIFEST = '0'.repeat(64);

describe.skipIf(reason !== undefined)(`the arm64 executable, emulated${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let folder: string;
  let executable: string;
  let cpuinfo: string;
  let processes: Processes;
  let fleet: Fleet;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-arm64-'));
    executable = fileEnding(
      await buildPackages(['--target', 'linux-arm64', '--program', 'agent', '--format', 'executable']),
      '-linux-arm64',
    );
    cpuinfo = path.join(folder, 'cpuinfo');
    await writeFile(cpuinfo, ARM_CPUINFO);
    processes = new Processes({ 'skerry-agent': emulated(cpuinfo, executable) });
    fleet = new Fleet({ folder, processes });
    await fleet.startHub();
    await fleet.initTrust();
    await publishVad(fleet);
  }, BUILD);
  afterAll(async () => {
    await processes?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('is an arm64 program', async () => {
    expect(await must('readelf', ['-h', executable])).toMatch(/Machine:\s+AArch64/);
  });

  it(
    'has what was compiled for it here, by its own runtime under emulation, taken by its engine',
    async () => {
      const { stdout } = await processes.run('skerry-agent', ['doctor', '--data', path.join(folder, 'doctor')]);
      expect(stdout).toContain(' for linux-arm64, compiled beforehand');
    },
    SLOW,
  );

  it(
    'enrols, takes a model and predicts what x64 predicts',
    async () => {
      const data = path.join(folder, 'devices', 'arm');
      const { token } = (await fleet.command(['token', 'create', 'enrolment'])) as { token: string };
      const enrol = ['enroll', '--data', data, '--hub', fleet.hub.url, '--token', token, '--name', 'arm-1'];
      await processes.json('skerry-agent', enrol);
      const logFile = path.join(folder, 'arm.log');
      // The emulator is not what /proc/self/exe names to a process that starts itself again: models run in threads.
      const inThreads = ['--isolation', 'thread'];
      const agent = processes.start('skerry-agent', ['run', '--data', data, '--http-port', '0', '--bake', '1s', ...inThreads], { logFile });
      const url = await agentUrl(data, agent.pid, SLOW);
      const values = await firstPrediction(url, SLOW);

      const here = new Processes();
      try {
        const second = new Fleet({ folder: path.join(folder, 'x64'), processes: here });
        await second.startHub();
        await second.initTrust();
        const device = await second.enrol('x64-1', {});
        await publishVad(second);
        const native = await firstPrediction(device.url);
        expect(values).toHaveLength(native.length);
        // The tolerance golden samples of FP32 models have by default is wider.
        for (const [i, value] of values.entries()) expect(value).toBeCloseTo(native[i] ?? Number.NaN, 4);
      } finally {
        await here.close();
      }
      expect(await agent.stop()).toBe(0);
    },
    2 * SLOW,
  );

  describe.skipIf(noExec !== undefined)(`started by a service${noExec === undefined ? '' : ` (skipped: ${noExec})`}`, () => {
    let programs: Processes;
    let data: string;
    let slots: SlotFolder;

    beforeAll(async () => {
      programs = new Processes({ 'skerry-agent': emulatedWithExec(cpuinfo, executable) });
      data = path.join(folder, 'devices', 'arm-launched');
      slots = new SlotFolder(data);
      const { token } = (await fleet.command(['token', 'create', 'enrolment'])) as { token: string };
      await programs.json('skerry-agent', ['enroll', '--data', data, '--hub', fleet.hub.url, '--token', token, '--name', 'arm-2']);
      // Which would say what release it wants.
      await fleet.hubProcess.kill();
    }, SLOW);
    afterAll(() => programs?.close());

    const launch = (): RunningProcess =>
      programs.start('skerry-agent', ['launch', '--data', data, '--isolation', 'thread', '--http-port', '0', '--reconnect-max', '300ms'], {
        logFile: path.join(folder, 'arm-launched.log'),
      });
    const release = async (agent: RunningProcess): Promise<SelfUpdate | undefined> => {
      const url = await agentUrl(data, agent.pid, SLOW);
      const { reported } = (await (await fetch(`${url}/skerry/v1/status`)).json()) as AgentStatus;
      return reported.capabilities.selfUpdate;
    };
    /** Puts an executable into a slot, as an update does. */
    const place = async (slot: SlotName, file: string, version: number): Promise<SlotRelease> => {
      await mkdir(path.dirname(slots.executable(slot)), { recursive: true });
      await copyFile(file, slots.executable(slot));
      await chmod(slots.executable(slot), 0o755);
      const { digest } = await digestFile(slots.executable(slot));
      return slotsSchema.shape.good.unwrap().parse({ slot, version, manifest: ANY_MANIFEST, digest, release: `0.${version}.0` });
    };

    it(
      'is the agent of the package, then the release in a slot',
      async () => {
        const packaged = launch();
        expect(await release(packaged)).toEqual({ able: true });
        await packaged.stop();
        await slots.write({ ...noSlots(SKERRY_VERSION), good: await place('a', executable, 2) });
        const other = launch();
        expect(await release(other)).toEqual({ able: true, release: 2 });
        expect(await readlink(`/proc/${other.pid}/exe`)).toContain('qemu');
        expect(await readFile(`/proc/${other.pid}/cmdline`, 'latin1')).toContain(slots.executable('a'));
        await other.stop();
      },
      2 * SLOW,
    );

    it(
      'is ended by the kernel when a release on trial hangs, goes back, and at last to the package',
      async () => {
        const hanging = path.join(folder, 'hangs');
        await writeFile(`${hanging}.c`, `#include <unistd.h>\n${HANGS}\n`);
        await must('aarch64-linux-gnu-gcc', ['-static', '-o', hanging, `${hanging}.c`]);
        const before = await slots.read();
        if (before === undefined) throw new Error('no slots were written');
        const trial = { attempt: 0, boots: 0, maxBoots: 1, aliveSeconds: 3, wasOnline: false, served: [] };
        await slots.write({ ...before, trying: { ...(await place('b', hanging, 3)), ...trial } });
        // By the signal of alarm(2): nothing else would.
        expect(await launch().exited).not.toBe(0);
        expect((await slots.read())?.trying).toMatchObject({ boots: 1 });
        const again = launch();
        expect(await release(again)).toEqual({ able: true, release: 2 });
        await until('the verdict to be kept', async () => (await slots.read())?.refused === null, { deadlineMs: SLOW });
        // Once the hub has said what it wants, and that is no release, the one of the package is.
        await fleet.startHub();
        await until('the release to be gone', async () => (await release(again))?.release === undefined, { deadlineMs: SLOW });
        expect(await release(again)).toEqual({ able: true });
        expect((await readFile(`/proc/${again.pid}/cmdline`, 'latin1')).split('\0')).toContain(executable);
        expect((await slots.read())?.good).toBeNull();
        // The model the hub wants as well is being loaded, which may take an emulated processor longer than it is waited for.
        await again.stop();
      },
      4 * SLOW,
    );
  });
});
