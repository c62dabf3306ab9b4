// Type check, lint, format check and boundary check, each of which must have looked at something: a checker that saw no
// file fails here, whatever its own exit code says.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pruneDist } from '../../packaging/prune.mjs';

const bin = (name) => path.join('node_modules', '.bin', name);

function run(command, args) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  return { ok: result.status === 0, text: `${result.stdout}${result.stderr}`, stdout: result.stdout };
}

/** Files the compiler took part in, counted from the build information it wrote. */
function compiledFiles() {
  // `bin` holds links to the commands, and nothing compiled.
  const projects = readdirSync('dist', { withFileTypes: true }).filter((entry) => entry.isDirectory() && entry.name !== 'bin');
  return projects.reduce((sum, project) => {
    const info = JSON.parse(readFileSync(path.join('dist', project.name, '.tsbuildinfo'), 'utf8'));
    return sum + info.fileNames.filter((name) => !name.includes('node_modules') && !name.includes('/lib.')).length;
  }, 0);
}

const checks = {
  types: () => {
    pruneDist(process.cwd());
    const { ok, text } = run(bin('tsc'), ['-b']);
    return { ok, text, seen: ok ? compiledFiles() : 1 };
  },
  lint: () => {
    const { ok, text } = run(bin('oxlint'), ['--type-aware', '--deny-warnings']);
    return { ok, text, seen: Number(/on (\d+) files?/.exec(text)?.[1] ?? 0) };
  },
  format: () => {
    const { ok, text } = run(bin('biome'), ['format']);
    return { ok, text, seen: Number(/(?:Checked|Formatted) (\d+) files?/.exec(text)?.[1] ?? 0) };
  },
  boundaries: () => {
    const { ok, text } = run(process.execPath, ['test/boundaries/check.mjs']);
    return { ok, text, seen: Number(/boundaries: (\d+) modules/.exec(text)?.[1] ?? 0) };
  },
};

let failed = false;
for (const [name, check] of Object.entries(checks)) {
  const { ok, text, seen } = check();
  const good = ok && seen > 0;
  failed ||= !good;
  console.log(`${good ? 'ok  ' : 'FAIL'} ${name}: ${seen} files looked at`);
  if (!good) console.log(text);
}
process.exit(failed ? 1 : 0);
