import { open } from 'node:fs/promises';
import path from 'node:path';
import { readdirSync } from 'node:fs';
import type { Scene } from './scene.js';

/** Changes one byte in the middle of a version's model file, in the hub's own storage, as an intruder there would. Returns its digest. */
export async function tamperWithArtifact({ fleet }: Scene, model: string, version: number): Promise<string> {
  const { document } = (await fleet.api(`/models/${model}/versions/${version}`)) as { document: { variants: { artifact: string }[] } };
  const digest = document.variants[0]?.artifact;
  if (digest === undefined) throw new Error('the version has no variant');
  const file = readdirSync(fleet.hubData, { recursive: true, encoding: 'utf8' }).find((name) => path.basename(name).startsWith(digest));
  if (file === undefined) throw new Error(`no file of ${digest} in the hub's folder`);
  const handle = await open(path.join(fleet.hubData, file), 'r+');
  try {
    const { size } = await handle.stat();
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, Math.floor(size / 2));
    byte.writeUInt8(byte.readUInt8(0) ^ 0xff);
    await handle.write(byte, 0, 1, Math.floor(size / 2));
  } finally {
    await handle.close();
  }
  return digest;
}
