import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from '../kit/fleet.js';
import { Processes } from '../kit/processes.js';
import { buildPackages, fileEnding, must, whyNot } from './tools.js';
import { agentUrl, firstPrediction, publishVad } from './vad.js';

const reason = whyNot(['qemu-aarch64-static', 'aarch64-linux-gnu-gcc', 'aarch64-linux-gnu-g++', 'aarch64-linux-gnu-strip', 'unshare'], {
  root: true,
});
/** Libraries of the other processor, as the cross compiler's packages install them. */
const LIBRARIES = '/usr/aarch64-linux-gnu';
const BUILD = 600_000;
/** An emulated processor is some twenty times slower. */
const SLOW = 180_000;

/** What an ARM board says of its processor; ONNX Runtime reads this file and does not survive an Intel one there. */
const CPUINFO = [
  'processor\t: 0',
  'BogoMIPS\t: 108.00',
  'Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid',
  'CPU implementer\t: 0x41',
  'CPU architecture: 8',
  'CPU variant\t: 0x0',
  'CPU part\t: 0xd08',
  'CPU revision\t: 3',
  '',
].join('\n');

describe.skipIf(reason !== undefined)(`the arm64 executable, emulated${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let folder: string;
  let executable: string;
  let processes: Processes;
  let fleet: Fleet;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-arm64-'));
    executable = fileEnding(
      await buildPackages(['--target', 'linux-arm64', '--program', 'agent', '--format', 'executable']),
      '-linux-arm64',
    );
    const cpuinfo = path.join(folder, 'cpuinfo');
    await writeFile(cpuinfo, CPUINFO);
    const emulate = `mount --bind "${cpuinfo}" /proc/cpuinfo && export QEMU_LD_PREFIX=${LIBRARIES} && exec qemu-aarch64-static -cpu cortex-a72 "$@"`;
    processes = new Processes({ 'skerry-agent': ['unshare', '--mount', 'sh', '-c', emulate, 'sh', executable] });
    fleet = new Fleet({ folder, processes });
    await fleet.startHub();
    await fleet.initTrust();
  }, BUILD);
  afterAll(async () => {
    await processes?.close();
    await Promise.all(
      [folder, path.dirname(executable ?? '')]
        .filter((each) => each !== undefined && each !== '.')
        .map((each) => rm(each, { recursive: true, force: true })),
    );
  });

  it('is an arm64 program', async () => {
    expect(await must('readelf', ['-h', executable])).toMatch(/Machine:\s+AArch64/);
  });

  it(
    'enrols, takes a model and predicts what x64 predicts',
    async () => {
      const data = path.join(folder, 'devices', 'arm');
      const { token } = (await fleet.command(['token', 'create', 'enrolment'])) as { token: string };
      const enrol = ['enroll', '--data', data, '--hub', fleet.hub.url, '--token', token, '--name', 'arm-1'];
      await processes.json('skerry-agent', enrol);
      const logFile = path.join(folder, 'arm.log');
      const agent = processes.start('skerry-agent', ['run', '--data', data, '--http-port', '0', '--bake', '1s'], { logFile });
      const url = await agentUrl(data, agent.pid, SLOW);
      await publishVad(fleet);
      const emulated = await firstPrediction(url, SLOW);

      const here = new Processes();
      try {
        const second = new Fleet({ folder: path.join(folder, 'x64'), processes: here });
        await second.startHub();
        await second.initTrust();
        const device = await second.enrol('x64-1', {});
        await publishVad(second);
        const native = await firstPrediction(device.url);
        expect(emulated).toHaveLength(native.length);
        // The tolerance golden samples of FP32 models have by default is wider.
        for (const [i, value] of emulated.entries()) expect(value).toBeCloseTo(native[i] ?? Number.NaN, 4);
      } finally {
        await here.close();
      }
      expect(await agent.stop()).toBe(0);
    },
    2 * SLOW,
  );
});
