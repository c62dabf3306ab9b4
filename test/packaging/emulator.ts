import { spawnSync } from 'node:child_process';
import type { Command } from './bare-root.js';

/** Libraries of the other processor, as the cross compiler's packages install them. */
const LIBRARIES = '/usr/aarch64-linux-gnu';

/** What an ARM board says of its processor; ONNX Runtime reads this file and does not survive an Intel one there. */
export const ARM_CPUINFO = [
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

/** Every 64-bit ARM program is run by the emulator, which is opened now and found whatever the root is later (binfmt_misc). */
const FORMAT = [
  ':arm64:M:',
  String.raw`\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`,
  String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`,
].join(':');
const REGISTER = [
  'mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc',
  `printf "%s:$(command -v qemu-aarch64-static):F" '${FORMAT}' > /proc/sys/fs/binfmt_misc/register`,
].join(' && ');
/** A user namespace has a table of formats of its own (Linux 6.7); in an older one it would be the machine's. */
const OWN_TABLE = ['unshare', '--user', '--map-root-user', '--mount'] as const;

/** Calls a program of an ARM board, whose processor the file `cpuinfo` describes. */
export function emulated(cpuinfo: string, program: string): Command {
  const script = `mount --bind "${cpuinfo}" /proc/cpuinfo && export QEMU_LD_PREFIX=${LIBRARIES} && exec qemu-aarch64-static -cpu cortex-a72 "$@"`;
  return ['unshare', '--mount', 'sh', '-c', script, 'sh', program];
}

/** The same, where programs may also become others. */
export function emulatedWithExec(cpuinfo: string, program: string): Command {
  const script = `mount --bind "${cpuinfo}" /proc/cpuinfo && ${REGISTER} && export QEMU_LD_PREFIX=${LIBRARIES} QEMU_CPU=cortex-a72 && exec "$@"`;
  return [...OWN_TABLE, 'sh', '-c', script, 'sh', program];
}

/** Why no emulated program can become another one here; `undefined` when it can. */
export function whyNoExec(): string | undefined {
  const [file, ...args] = [...OWN_TABLE, 'sh', '-c', REGISTER];
  const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  return status === 0 ? undefined : `this system gives no namespace binary formats of its own: ${stderr.trim()}`;
}
