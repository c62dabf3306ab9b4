import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';

// Looks for what the property tests do not find with the seed of the gate: runs them again and again, each time with another.

const vitest = path.join('node_modules', 'vitest', 'vitest.mjs');

/** Runs the files once; what was printed when a test failed. */
function failure(files: readonly string[], seed: string): string | undefined {
  const env = { ...process.env, SKERRY_TEST_SEED: seed };
  const { status, stdout } = spawnSync(process.execPath, [vitest, 'run', ...files], { env, encoding: 'utf8', maxBuffer: 2 ** 28 });
  return status === 0 ? undefined : stdout;
}

function propertyTests(filters: readonly string[]): string[] {
  return readdirSync('test', { recursive: true, encoding: 'utf8' })
    .map((name) => path.join('test', name))
    .filter((file) => file.endsWith('.test.ts') && readFileSync(file, 'utf8').includes("from 'fast-check'"))
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
    .sort();
}

function hunt(filters: readonly string[], { rounds }: { readonly rounds: number }): void {
  const files = propertyTests(filters);
  if (files.length === 0) return command.error(`no property test has ${filters.join(' or ')} in its path`, { exitCode: 2 });
  for (let round = 1; round <= rounds; round += 1) {
    const seed = String(randomInt(2 ** 31));
    process.stdout.write(`round ${round} of ${rounds}: ${files.length} files, seed ${seed}\n`);
    const text = failure(files, seed);
    if (text === undefined) continue;
    process.stdout.write(`${text}\nTo see it again: SKERRY_TEST_SEED=${seed} npx vitest run FILE\n`);
    process.exitCode = 1;
    return;
  }
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('expected a whole number above 0');
  return value;
}

const command = new Command('npm run test:hunt --')
  .description('Runs the property tests with other seeds than the gate, until one fails.')
  .argument('[filter...]', 'only files whose path contains one of these')
  .option('--rounds <n>', 'how often', positive, 25)
  .action(hunt);
command.parse();
