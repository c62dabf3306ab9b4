import { open } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { EXECUTABLE_HEADER_BYTES, readExecutableHeader } from '#shared/bundle/executable-header.js';

/** A file of 512 zeros but for the given numbers: `[offset, bytes, value]`, little-endian. */
function file(...numbers: readonly (readonly [offset: number, bytes: 1 | 2 | 4, value: number])[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(512));
  for (const [offset, bytes, value] of numbers) {
    if (bytes === 1) view.setUint8(offset, value);
    else if (bytes === 2) view.setUint16(offset, value, true);
    else view.setUint32(offset, value, true);
  }
  return new Uint8Array(view.buffer);
}

const elf = (
  fields: { readonly type?: number; readonly machine?: number; readonly abi?: number; readonly bits?: number } = {},
): Uint8Array =>
  file(
    [0, 4, 0x464c457f],
    [4, 1, fields.bits ?? 2],
    [5, 1, 1],
    [7, 1, fields.abi ?? 0],
    [16, 2, fields.type ?? 3],
    [18, 2, fields.machine ?? 0x3e],
  );
const machO = (cpu: number, type = 2): Uint8Array => file([0, 4, 0xfeedfacf], [4, 4, cpu], [12, 4, type]);
const pe = (machine: number, characteristics = 0x0022, at = 0x80): Uint8Array =>
  file([0, 2, 0x5a4d], [60, 4, at], [at, 4, 0x4550], [at + 4, 2, machine], [at + 22, 2, characteristics]);

describe('the header of an executable', () => {
  test.each([
    ['ELF, position-independent', elf(), 'linux', 'x64'],
    ['ELF at a fixed address', elf({ type: 2 }), 'linux', 'x64'],
    ['ELF that says Linux', elf({ abi: 3, machine: 0xb7 }), 'linux', 'arm64'],
    ['Mach-O for Intel', machO(0x01000007), 'darwin', 'x64'],
    ['Mach-O for Apple silicon', machO(0x0100000c), 'darwin', 'arm64'],
    ['PE for x64', pe(0x8664), 'win32', 'x64'],
    ['PE for ARM', pe(0xaa64), 'win32', 'arm64'],
  ])('%s', (_, bytes, platform, arch) => {
    expect(readExecutableHeader(bytes)).toMatchObject({ kind: 'executable', platform, arch });
  });

  test.each([
    ['a shared object file of another processor', elf({ machine: 0xf3 }), /machine 0xf3/],
    ['a 32-bit ELF', elf({ bits: 1 }), /64-bit/],
    ['an ELF of FreeBSD', elf({ abi: 9 }), /ABI 9/],
    ['an object file', elf({ type: 1 }), /not a program/],
    ['a Mach-O library', machO(0x01000007, 6), /not a program/],
    ['a universal Mach-O', Uint8Array.from([0xca, 0xfe, 0xba, 0xbe, ...new Uint8Array(100)]), /one processor/],
    ['a DLL', pe(0x8664, 0x2022), /not a program/],
    ['a PE for 32 bits', pe(0x014c), /machine 0x14c/],
  ])('%s is not for any platform agents run on', (_, bytes, why) => {
    const header = readExecutableHeader(bytes);
    expect(header.kind).toBe('unsupported');
    expect(header).toHaveProperty('why', expect.stringMatching(why));
  });

  test.each([
    ['nothing', new Uint8Array()],
    ['the beginning of an ELF', elf().subarray(0, 20)],
    ['a gzip file', Uint8Array.from([0x1f, 0x8b, 8, ...new Uint8Array(100)])],
    ['a script', new TextEncoder().encode(`#!/bin/sh\n${'# nothing\n'.repeat(20)}`)],
    ['a DOS program', file([0, 2, 0x5a4d], [60, 4, 0xffff_fff0])],
  ])('%s is no executable', (_, bytes) => {
    expect(readExecutableHeader(bytes).kind).toBe('unknown');
  });

  test('of the program that runs this test is of this machine', async () => {
    const node = await open(process.execPath);
    const buffer = new Uint8Array(EXECUTABLE_HEADER_BYTES);
    await node.read(buffer, 0, buffer.length, 0);
    await node.close();
    expect(readExecutableHeader(buffer)).toMatchObject({ kind: 'executable', platform: process.platform, arch: process.arch });
  });
});
