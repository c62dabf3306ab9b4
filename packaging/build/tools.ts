import { spawn } from 'node:child_process';
import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SkerryError } from '#shared/kernel/errors.js';

/** Root of the checkout; this file runs from dist/packaging/build. */
export const PROJECT_ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const OUT = path.join(PROJECT_ROOT, 'packaging', 'out');
export const CACHE = path.join(OUT, 'cache');

interface ToolOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Lines of a failed tool's output that go into the message. */
const KEPT_LINES = 40;

/** Runs a tool and returns its standard output. `PACKAGE_STEP_FAILED` with the end of what it printed. */
export function runTool(command: string, args: readonly string[], options: ToolOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let all = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      all += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      all += text;
    });
    child.once('error', (cause) => reject(new SkerryError('PACKAGE_STEP_FAILED', `${command} could not be started`, { cause })));
    child.once('close', (code) => {
      if (code === 0) return resolve(stdout);
      const said = all.trimEnd().split('\n').slice(-KEPT_LINES).join('\n');
      reject(new SkerryError('PACKAGE_STEP_FAILED', `${command} ${args.join(' ')} ended with ${code}:\n${said}`));
    });
  });
}

/** npm as it was called (the same version, also where several are installed), or the one on the path. */
export function runNpm(args: readonly string[], options: ToolOptions = {}): Promise<string> {
  const npm = process.env['npm_execpath'];
  return npm === undefined ? runTool('npm', args, options) : runTool(process.execPath, [npm, ...args], options);
}

export function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/**
 * A folder of the cache, made once: `make` fills a temporary one, which takes the name when it is complete. Two builds at
 * once may both make it; the first wins.
 */
export async function cached(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const folder = path.join(CACHE, name);
  if (await exists(path.join(folder, '.complete'))) return folder;
  const temporary = `${folder}.${process.pid}.tmp`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  try {
    await make(temporary);
    await writeFile(path.join(temporary, '.complete'), '');
    await rm(folder, { recursive: true, force: true });
    await rename(temporary, folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return folder;
}
