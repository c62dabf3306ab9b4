import { chmod, copyFile, mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** One thing that goes into an archive. Paths are relative to its root. */
export type TreeEntry =
  | { readonly kind: 'text'; readonly path: string; readonly text: string | Uint8Array; readonly mode: number; readonly conffile?: boolean }
  | { readonly kind: 'file'; readonly path: string; readonly from: string; readonly mode: number }
  | { readonly kind: 'link'; readonly path: string; readonly to: string };

/** Lays the entries out below `root`, which is made anew. Folders are 0755. */
export async function layOut(root: string, entries: readonly TreeEntry[]): Promise<void> {
  await rm(root, { recursive: true, force: true });
  await mkdir(root, { recursive: true, mode: 0o755 });
  for (const entry of entries) {
    const target = path.join(root, entry.path);
    await mkdir(path.dirname(target), { recursive: true });
    if (entry.kind === 'link') await symlink(entry.to, target);
    else {
      if (entry.kind === 'text') await writeFile(target, entry.text);
      else await copyFile(entry.from, target);
      await chmod(target, entry.mode);
    }
  }
  // What the umask of whoever builds took away.
  await chmod(root, 0o755);
  for (const found of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (found.isDirectory()) await chmod(path.join(found.parentPath, found.name), 0o755);
  }
}

/** Paths of the files below `root`, sorted. */
export async function filesOf(root: string): Promise<readonly string[]> {
  const found = await readdir(root, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .sort();
}

/** Kibibytes the files below `root` take on a disk, as Debian's Installed-Size counts them (policy 5.6.20). */
export async function installedSize(root: string): Promise<number> {
  const sizes = await Promise.all((await filesOf(root)).map(async (file) => Math.ceil((await stat(path.join(root, file))).size / 1024)));
  return sizes.reduce((sum, size) => sum + size, 0);
}
