import type { AgentArch, AgentPlatform } from './agent-manifest.js';

/** What the first bytes of a file say about the machine it is made for. */
type ExecutableHeader =
  | { readonly kind: 'executable'; readonly format: ExecutableFormat; readonly platform: AgentPlatform; readonly arch: AgentArch }
  /** An executable, of a form or for a machine that agents are not built for. */
  | { readonly kind: 'unsupported'; readonly format: ExecutableFormat; readonly why: string }
  | { readonly kind: 'unknown'; readonly why: string };
export type ExecutableFormat = 'ELF' | 'Mach-O' | 'PE';

/** Bytes of a file that are enough to tell: a PE header begins where the DOS header says, in practice within the first kilobyte. */
export const EXECUTABLE_HEADER_BYTES = 4096;

const ELF_MAGIC = 0x7f454c46;
const MACHO_64_MAGIC = 0xfeedfacf;
/** Thin 32-bit, byte-swapped and universal ("fat") files. */
const MACHO_OTHER_MAGICS = [0xfeedface, 0xcefaedfe, 0xcafebabe, 0xcafebabf];
const DOS_MAGIC = 0x5a4d;
const PE_SIGNATURE = 0x00004550;

/**
 * Reads platform and processor from the header of an executable: ELF (System V ABI, chapter 4, with the machine numbers of its
 * registry), Mach-O (`mach-o/loader.h`), PE (Microsoft PE and COFF specification). Any bytes give an answer, none an error.
 */
export function readExecutableHeader(bytes: Uint8Array): ExecutableHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < 64) return { kind: 'unknown', why: `${view.byteLength} bytes are less than any executable has` };
  if (view.getUint32(0) === ELF_MAGIC) return readElf(view);
  const magic = view.getUint32(0, true);
  if (magic === MACHO_64_MAGIC) return readMachO(view);
  if (MACHO_OTHER_MAGICS.includes(magic) || MACHO_OTHER_MAGICS.includes(view.getUint32(0))) {
    return unsupported('Mach-O', 'it is not a 64-bit file for one processor');
  }
  if (view.getUint16(0, true) === DOS_MAGIC) return readPe(view);
  return { kind: 'unknown', why: 'it begins like none of ELF, Mach-O and PE' };
}

function readElf(view: DataView): ExecutableHeader {
  const [elfClass, data, osAbi] = [view.getUint8(4), view.getUint8(5), view.getUint8(7)];
  if (elfClass !== 2) return unsupported('ELF', 'it is not a 64-bit file');
  if (data !== 1) return unsupported('ELF', 'it is not little-endian');
  // 0 is System V, which Linux programs say; 3 is Linux, said by those that use GNU symbol kinds.
  if (osAbi !== 0 && osAbi !== 3) return unsupported('ELF', `it is for another operating system (ABI ${osAbi})`);
  const type = view.getUint16(16, true);
  // ET_EXEC, and ET_DYN, which is what position-independent executables are.
  if (type !== 2 && type !== 3) return unsupported('ELF', `it is not a program (type ${type})`);
  return ofMachine('ELF', 'linux', view.getUint16(18, true), { x64: 0x3e, arm64: 0xb7 });
}

function readMachO(view: DataView): ExecutableHeader {
  const type = view.getUint32(12, true);
  if (type !== 2) return unsupported('Mach-O', `it is not a program (type ${type})`);
  return ofMachine('Mach-O', 'darwin', view.getUint32(4, true), { x64: 0x01000007, arm64: 0x0100000c });
}

function readPe(view: DataView): ExecutableHeader {
  const at = view.getUint32(60, true);
  if (at + 26 > view.byteLength || view.getUint32(at, true) !== PE_SIGNATURE) {
    return { kind: 'unknown', why: 'it begins as a DOS program and no PE header follows' };
  }
  const characteristics = view.getUint16(at + 22, true);
  if ((characteristics & 0x0002) === 0 || (characteristics & 0x2000) !== 0) return unsupported('PE', 'it is not a program');
  return ofMachine('PE', 'win32', view.getUint16(at + 4, true), { x64: 0x8664, arm64: 0xaa64 });
}

function ofMachine(
  format: ExecutableFormat,
  platform: AgentPlatform,
  machine: number,
  known: Readonly<Record<AgentArch, number>>,
): ExecutableHeader {
  if (machine === known.x64) return { kind: 'executable', format, platform, arch: 'x64' };
  if (machine === known.arm64) return { kind: 'executable', format, platform, arch: 'arm64' };
  return unsupported(format, `it is for a processor agents are not built for (machine 0x${machine.toString(16)})`);
}

function unsupported(format: ExecutableFormat, why: string): ExecutableHeader {
  return { kind: 'unsupported', format, why };
}
