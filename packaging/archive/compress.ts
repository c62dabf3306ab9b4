import { rename, rm } from 'node:fs/promises';
import { runTool } from '../build/tools.js';

export type Effort = 'small' | 'quick';
type Compression = 'gz' | 'xz';

/**
 * Packs the folder `root` (below the name `as` inside) into `file`, the same bytes for the same content: sorted, one time
 * stamp (`epoch`, seconds), no owners of this machine (reproducible-builds.org, Archives). GNU tar, gzip, xz.
 */
export async function packTar(root: string, file: string, as: string, epoch: number, how: Compression, effort: Effort): Promise<void> {
  const tar = `${file}.${process.pid}.tar`;
  const fixed = ['--sort=name', `--mtime=@${epoch}`, '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  try {
    await runTool('tar', [...fixed, `--transform=flags=r;s,^\\.,${as},`, '-cf', tar, '-C', root, '.']);
    // One thread: with several, xz cuts blocks, and other machines would cut others.
    const [tool, args] =
      how === 'gz' ? ['gzip', ['-n', effort === 'small' ? '-9' : '-1']] : ['xz', ['-T1', effort === 'small' ? '-9e' : '-1']];
    await runTool(tool, [...args, '--force', tar]);
    await rename(`${tar}.${how}`, file);
  } finally {
    await rm(tar, { force: true });
  }
}
