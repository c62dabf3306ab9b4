import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { PROJECT_ROOT } from './processes.js';

const run = promisify(execFile);

/** Where test/install-clients.sh puts clients that other projects made. */
const HOME = process.env['SKERRY_TEST_CLIENTS'] ?? path.join(os.homedir(), '.cache', 'skerry-test-clients');

/** A program, and the arguments that come before its own; undefined where it was not installed. */
type Program = readonly [string, ...string[]] | undefined;

function program(file: string, ...args: readonly string[]): Program {
  const [full, ...rest] = [file, ...args].map((part) => path.join(HOME, part));
  return full === undefined || !existsSync(full) ? undefined : [full, ...rest];
}

const LIBRARIES = path.join(HOME, 'perf-analyzer/root/usr/lib/x86_64-linux-gnu');

/** perf_analyzer is started by the loader of the C library that it needs. */
function perfAnalyzer(): Program {
  const loader = path.join(LIBRARIES, 'ld-linux-x86-64.so.2');
  const file = path.join(HOME, 'perf-analyzer/wheel/perf_analyzer/bin/perf_analyzer');
  return existsSync(loader) && existsSync(file) ? [loader, '--library-path', LIBRARIES, file] : undefined;
}

export const CLIENTS = {
  triton: program('triton/bin/python'),
  kserve: program('kserve/bin/python'),
  perfAnalyzer: perfAnalyzer(),
  promtool: program('promtool/promtool'),
} satisfies Readonly<Record<string, Program>>;

/** Ends the title of a test: why it is skipped. */
export function lacking(client: Program): string {
  return client === undefined ? ' (not installed: run test/install-clients.sh)' : '';
}

const OPTIONS = { maxBuffer: 16 * 2 ** 20, timeout: 120_000 };

/** Runs a client to its end; gives what it printed. */
export async function runClient(client: Program, args: readonly string[]): Promise<string> {
  if (client === undefined) throw new Error('this client is not installed');
  const [file, ...before] = client;
  return (await run(file, [...before, ...args], OPTIONS)).stdout;
}

/** Runs a script of test/clients, which prints how each of its cases went. */
export async function runCases(python: Program, script: string, ...args: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const printed = await runClient(python, [path.join(PROJECT_ROOT, 'test/clients', script), ...args]);
  return z.record(z.string(), z.string()).parse(JSON.parse(printed.trim().split('\n').at(-1) ?? ''));
}

/** The cases that did not go well. */
export function failuresOf(cases: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(cases).filter(([, outcome]) => outcome !== 'ok'));
}
