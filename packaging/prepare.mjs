// Makes a checkout ready: installs what the lock file names when that changed, builds what is stale, puts the commands into dist/bin, then runs
// `--run FILE ARGS...` in this very process (so that Ctrl-C reaches it directly). Plain JavaScript without
// dependencies, because it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { pruneDist } from './prune.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const MIN_NODE = [20, 19];

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
    fail(`Skerry needs Node ${MIN_NODE.join('.')} or newer; this is ${process.versions.node}.`);
  }
}

function step(label, command, args, env = process.env) {
  process.stderr.write(`${label} ...\n`);
  const npm = command === 'npm' && process.env.npm_execpath !== undefined;
  const [file, argv] = npm ? [process.execPath, [process.env.npm_execpath, ...args]] : [command, args];
  const result = spawnSync(file, argv, { cwd: root, stdio: ['ignore', 2, 2], env });
  if (result.status !== 0) fail(`${label} failed (${command} ${args.join(' ')}). Its output is above.`);
}

/** Digest of everything that decides what node_modules holds. */
function installKey() {
  const hash = createHash('sha256');
  for (const file of ['package.json', 'package-lock.json', '.npmrc']) hash.update(readFileSync(path.join(root, file)));
  return hash.update(`${process.version} ${process.platform} ${process.arch}`).digest('hex');
}

/**
 * onnxruntime-node's install step would download hundreds of megabytes of CUDA files; GPU servers opt in by setting the variable. SQLite is
 * compiled against the headers that came with the running Node, so that nothing is asked of any host but the registry; without them or
 * without a compiler its own install step looks for a binary.
 */
function installEnvironment() {
  const env = { ONNXRUNTIME_NODE_INSTALL: 'skip', ...process.env };
  const home = path.dirname(path.dirname(process.execPath));
  const hasHeaders = existsSync(path.join(home, 'include', 'node', 'node_api.h'));
  const hasCompiler = ['c++', 'make'].every((tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0);
  return hasHeaders && hasCompiler ? { npm_config_nodedir: home, npm_config_build_from_source: 'true', ...env } : env;
}

function install() {
  const marker = path.join(root, 'node_modules', '.skerry-installed');
  const key = installKey();
  if (existsSync(marker) && readFileSync(marker, 'utf8') === key) return;
  // Not `npm ci`: it refuses a lock file without the entries of every foreign platform, and not every registry carries those.
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  step('Installing dependencies (the first time this compiles SQLite, about two minutes)', 'npm', args, installEnvironment());
  writeFileSync(marker, key);
}

function build() {
  pruneDist(root);
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const result = spawnSync(process.execPath, [tsc, '-b'], { cwd: root, stdio: ['ignore', 2, 2] });
  if (result.status !== 0) fail('The build failed; the compiler output is above.');
}

/** Puts the commands into dist/bin, for a PATH; on Windows `npx` finds them in the checkout. */
function linkCommands() {
  if (process.platform === 'win32') return;
  const folder = path.join(root, 'dist', 'bin');
  mkdirSync(folder, { recursive: true });
  const { bin } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  for (const [name, file] of Object.entries(bin)) {
    chmodSync(path.join(root, file), 0o755);
    const command = path.join(folder, name);
    if (lstatSync(command, { throwIfNoEntry: false }) === undefined) symlinkSync(path.relative(folder, path.join(root, file)), command);
  }
}

checkNode();
install();
build();
linkCommands();

const run = process.argv.indexOf('--run');
if (run !== -1) {
  const file = path.join(root, process.argv[run + 1]);
  process.argv = [process.argv[0], file, ...process.argv.slice(run + 2)];
  await import(pathToFileURL(file).href);
}
