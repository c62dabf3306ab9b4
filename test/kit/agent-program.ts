import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

/** A file that says of itself, as an executable of Linux does in its ELF header, what it is made for; the rest is random. */
export function elfProgram(arch: 'x64' | 'arm64', bytes = 200_000): Uint8Array {
  const file = new Uint8Array(randomBytes(bytes));
  const view = new DataView(file.buffer);
  view.setUint32(0, 0x7f454c46);
  // 64 bits, little-endian, version 1, System V.
  file.set([2, 1, 1, 0], 4);
  view.setUint16(16, 3, true);
  view.setUint16(18, arch === 'x64' ? 0x3e : 0xb7, true);
  return file;
}

/** Writes such files into a folder, named as the packaging names them; returns their paths. */
export async function writeAgentPrograms(folder: string, archs: readonly ('x64' | 'arm64')[] = ['x64', 'arm64']): Promise<string[]> {
  const files = archs.map((arch) => path.join(folder, `skerry-agent-linux-${arch}`));
  for (const [index, arch] of archs.entries()) await writeFile(files[index] ?? '', elfProgram(arch));
  return files;
}
