import { execFile, execFileSync } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { onceInRun } from '../kit/once.js';
import { PROJECT_ROOT } from '../kit/processes.js';

const execute = promisify(execFile);

/** Why tests that need these programs, root or Linux cannot run here; `undefined` when they can. */
export function whyNot(tools: readonly string[], options: { readonly root?: boolean } = {}): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `packages are built and tried on linux-x64, not on ${process.platform}-${process.arch}`;
  const missing = tools.filter((tool) => !has(tool));
  if (missing.length > 0) return `not installed: ${missing.join(', ')} (test/install-system.sh)`;
  if (options.root === true && process.getuid?.() !== 0) return 'needs root, for mounts and other roots';
  if (options.root === true && !canUnshare()) return 'this system allows no mount namespaces';
  return undefined;
}

function has(tool: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function canUnshare(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const AGENT_AND_HUB = ['--target', 'linux-x64', '--program', 'agent', 'hub', '--format', 'deb', 'tar.gz', 'executable'];
const LATER_AGENT = ['--target', 'linux-x64', '--program', 'agent', '--format', 'deb', '--revision', '2'];

/** The packages of this tree for this machine, and the agent's of a later revision: built once in a run, shared by all who only read them. */
export async function shippedPackages(): Promise<{ first: readonly string[]; second: readonly string[] }> {
  return { first: await buildPackages(AGENT_AND_HUB), second: await buildPackages(LATER_AGENT) };
}

/** Builds packages by the command, once in a run, and returns their paths. */
export function buildPackages(args: readonly string[]): Promise<readonly string[]> {
  return onceInRun(`package ${args.join(' ')}`, (out) => runPackage(out, args));
}

async function runPackage(out: string, args: readonly string[]): Promise<readonly string[]> {
  const script = path.join(PROJECT_ROOT, 'dist/packaging/main.js');
  const options = { maxBuffer: 64 * 1024 * 1024, env: { ...process.env, SOURCE_DATE_EPOCH: '1767225600' } };
  const { stdout } = await execute(process.execPath, [script, '--quick', '--json', '--out', out, ...args], options);
  return (JSON.parse(stdout) as { files: string[] }).files;
}

/** The one file of the list with this ending. */
export function fileEnding(files: readonly string[], ending: string): string {
  const found = files.find((file) => file.endsWith(ending));
  if (found === undefined) throw new Error(`no file ends with ${ending}: ${files.join(', ')}`);
  return found;
}

/** Runs a program to its end; what it printed, whatever its exit code. */
export async function sh(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ code: number; text: string }> {
  return new Promise((resolve) => {
    execFile(file, [...args], { env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, text: `${stdout}${stderr}` });
    });
  });
}

/** Runs a program that has to succeed, and returns what it printed. */
export async function must(file: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<string> {
  const { code, text } = await sh(file, args, env);
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}:\n${text}`);
  return text;
}
