import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { SkerryError } from '#shared/kernel/errors.js';
import { NODE_VERSION, type Target } from '../targets.js';
import { cached, runNpm, runTool } from './tools.js';

export interface NodeRuntime {
  readonly executable: string;
  /** Folder with include/node, for compiling addons against exactly this runtime. */
  readonly headers: string;
  readonly licence: string;
}

/** Fetches the runtime of a target by npm, checks it against the pinned integrity, and unpacks it. */
export async function fetchNode(target: Target): Promise<NodeRuntime> {
  const { package: name, integrity } = target.node;
  const folder = await cached(`node-${NODE_VERSION}-${target.name}`, async (temporary) => {
    await runNpm(['pack', '--silent', '--pack-destination', temporary, `${name}@${NODE_VERSION}`], { cwd: temporary });
    const [archive] = (await readdir(temporary)).filter((file) => file.endsWith('.tgz'));
    if (archive === undefined) throw new SkerryError('PACKAGE_STEP_FAILED', `npm pack ${name} left no archive`);
    const file = path.join(temporary, archive);
    const found = `sha512-${createHash('sha512')
      .update(await readFile(file))
      .digest('base64')}`;
    if (found !== integrity) throw new SkerryError('PACKAGE_INTEGRITY', `${name}@${NODE_VERSION} is ${found}, pinned is ${integrity}`);
    await runTool('tar', ['-xzf', file, '-C', temporary, '--strip-components=1']);
    await rm(file);
  });
  const executable = target.platform === 'win32' ? 'bin/node.exe' : 'bin/node';
  return { executable: path.join(folder, executable), headers: folder, licence: path.join(folder, 'LICENSE') };
}
