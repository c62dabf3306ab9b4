import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** Rooms and what they may import, as docs/ARCHITECTURE.md says. */
const DIRECTION = readFileSync('docs/ARCHITECTURE.md', 'utf8')
  .split('\n')
  .flatMap((line) => {
    const found = /^(shared|agent|hub)\/(\w+) +->(.*)$/.exec(line);
    return found === null ? [] : [{ side: found[1]!, room: found[2]!, allowed: found[3]!.split(' ').filter((name) => name !== '') }];
  });

interface Breach {
  readonly rule: string;
  readonly file: string;
  readonly text: string;
}

const imports = (target: string): string => `import '${target}';\n`;
const breach = (rule: string, file: string, text: string): Breach => ({ rule, file, text });

/** Every import between two rooms of a side that the direction does not allow. */
const BETWEEN_ROOMS = DIRECTION.flatMap(({ side, room, allowed }) =>
  DIRECTION.filter((other) => other.side === side && other.room !== room && !allowed.includes(other.room)).map((other) =>
    breach(`${side}-${room}`, `${side}/${room}/to-${other.room}.ts`, imports(`#${side}/${other.room}/leaf.js`)),
  ),
);

const SINGLE_RULES: readonly Breach[] = [
  breach('no-cycles', 'hub/kernel/back.ts', imports('./there.js')),
  breach('resolvable', 'shared/kernel/nowhere.ts', imports('./missing.js')),
  breach('shared-is-alone', 'shared/kernel/up.ts', imports('#agent/leaf.js')),
  breach('agent-not-hub', 'agent/store/over.ts', imports('#hub/leaf.js')),
  breach('hub-not-agent', 'hub/store/over.ts', imports('#agent/leaf.js')),
  breach('packaging-not-test', 'packaging/tested.ts', imports('#test/leaf.js')),
  breach('programs-are-small', 'packaging/program/large.ts', imports('#packaging/leaf.js')),
  ...['shared', 'agent', 'hub'].map((side) =>
    breach(`${side}-rooms-have-a-row`, `${side}/attic/new.ts`, imports(`#shared/kernel/leaf.js`)),
  ),
  breach('hub-fleet', 'hub/fleet/to-root.ts', imports('#hub/leaf.js')),
  breach('agent-store', 'agent/store/to-root.ts', imports('#agent/leaf.js')),
  breach('nobody-imports-serve', 'agent/cli/serves.ts', imports('#agent/serve/leaf.js')),
  breach('only-repository-of-serve', 'agent/standalone/serves.ts', imports('#agent/serve/leaf.js')),
  breach('dialects-are-apart', 'agent/serve/dialects/one/to-other.ts', imports('#agent/serve/dialects/other/leaf.js')),
  breach('only-repository-of-serve', 'agent/standalone/serves.ts', imports('#agent/serve/leaf.js')),
  breach('dialects-are-apart', 'agent/serve/dialects/one/listens.ts', imports('node:http')),
  breach('only-the-table-names-dialects', 'agent/serve/to-dialect.ts', imports('#agent/serve/dialects/other/leaf.js')),
  breach('only-ports-of-models', 'agent/metrics/to-models.ts', imports('#agent/models/leaf.js')),
  breach('only-ports-of-install', 'agent/sync/to-install.ts', imports('#agent/install/leaf.js')),
  breach('only-contract-of-sync', 'agent/metrics/to-sync.ts', imports('#agent/sync/leaf.js')),
  breach('only-app-composes', 'agent/leaf-of-app.ts', imports('#agent/app.js')),
  breach('only-app-assembles', 'agent/other-root.ts', imports('#agent/assembly/leaf.js')),
  breach('hub-only-app-composes', 'hub/leaf-of-app.ts', imports('#hub/app.js')),
  breach('hub-only-app-assembles', 'hub/other-root.ts', imports('#hub/assembly/leaf.js')),
  breach('hub-cli-is-a-client', 'hub/cli/to-store.ts', imports('#hub/store/leaf.js')),
  breach('hub-never-publishes', 'hub/assembly/publishes.ts', imports('#hub/publisher/leaf.js')),
  breach('no-test-code-shipped', 'agent/store/tested.ts', `import { it } from 'vitest';\nit.name;\n`),
];

/** Everything a file that decides may not do, and the words it is refused with. */
const IMPURE: readonly (readonly [string, string])[] = [
  [`import { systemClock } from '#shared/kernel/clock.js';\nexport const f = () => systemClock;\n`, 'shared/kernel/clock.ts'],
  [`import { readFileSync } from 'node:fs';\nexport const f = readFileSync;\n`, 'node:fs'],
  [`import { stat } from 'fs/promises';\nexport const f = stat;\n`, 'fs/promises'],
  [`import { performance } from 'node:perf_hooks';\nexport const f = performance;\n`, 'node:perf_hooks'],
  [`export const f = () => Date.now();\n`, 'Date.now'],
  [`export const f = () => Date['now']();\n`, 'Date.now'],
  [`export const f = () => globalThis.Date.now();\n`, 'Date.now'],
  [`const { now } = Date;\nexport const f = now;\n`, 'Date'],
  [`export const f = () => new Date().getTime();\n`, 'new Date()'],
  [`export const f = () => performance.now();\n`, 'performance.now'],
  [`export const f = () => process.hrtime.bigint();\n`, 'process.hrtime'],
  [`export const f = () => Math.random();\n`, 'Math.random'],
  [`export const f = () => setTimeout(f, 1);\n`, 'setTimeout()'],
  [`export const f = () => import('node:fs');\n`, 'node:fs'],
  [`import { look } from '../looks.js';\nexport const f = look;\n`, 'hub/fleet/looks.ts -> Date.now'],
];
const DECIDES = ['hub/fleet/decide', 'agent/models/decide', 'hub/registry/tuf/decide', 'shared/trust/decide', 'shared/stats'];

/** What it may do. */
const PURE = [
  `import type { Clock } from '#shared/kernel/clock.js';\nexport const f = (clock: Clock) => clock;\n`,
  `import { type Clock } from '#shared/kernel/clock.js';\nexport const f = (clock: Clock) => clock;\n`,
  `import { hours } from '#shared/kernel/time.js';\nexport const f = () => new Date(hours(1));\n`,
  `// Date.now() in a comment, and 'Date.now()' in a text.\nexport const f = () => 'Date.now()';\n`,
  `import { createHash } from 'node:crypto';\nexport const f = () => createHash('sha256');\n`,
];

/** Files without which no tree is complete. */
const BASE: Readonly<Record<string, string>> = {
  ...Object.fromEntries(DIRECTION.map(({ side, room }) => [`${side}/${room}/leaf.ts`, `export const leaf = 1;\n`])),
  ...Object.fromEntries(
    [
      'agent/leaf',
      'agent/app',
      'agent/assembly/leaf',
      'hub/leaf',
      'hub/app',
      'hub/assembly/leaf',
      'packaging/leaf',
      'test/leaf',
      'agent/install/ports',
      'agent/serve/dialects/other/leaf',
    ].map((name) => [`${name}.ts`, `export const leaf = 1;\n`]),
  ),
  'shared/kernel/clock.ts': `export interface Clock {\n  now(): number;\n}\nexport const systemClock: Clock = { now: () => Date.now() };\n`,
  'shared/kernel/time.ts': `export const hours = (n: number): number => n * 3_600_000;\n`,
  'hub/fleet/decide/decides.ts': PURE[2]!,
};

interface Checked {
  readonly status: number | null;
  readonly errors: readonly string[];
  readonly summary: string;
}

const folders: string[] = [];

/** Runs the checker over a tree of these files. */
function check(files: Readonly<Record<string, string>>): Checked {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'skerry-boundaries-'));
  folders.push(folder);
  symlinkSync(path.resolve('node_modules'), path.join(folder, 'node_modules'));
  for (const [name, text] of Object.entries({ ...BASE, ...files })) {
    mkdirSync(path.join(folder, path.dirname(name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  const { status, stdout, stderr } = spawnSync(process.execPath, ['test/boundaries/check.mjs', folder], { encoding: 'utf8' });
  return { status, errors: stderr.split('\n').filter((line) => line.startsWith('error: ')), summary: `${stdout}${stderr}` };
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describe('the boundary check', () => {
  let broken: Checked;
  beforeAll(() => {
    const breaches = [...BETWEEN_ROOMS, ...SINGLE_RULES, breach('', 'hub/kernel/there.ts', imports('./back.js'))];
    broken = check(Object.fromEntries(breaches.map(({ file, text }) => [file, text])));
  });

  it('passes a tree that keeps the direction, and imports that it allows', () => {
    const allowed = DIRECTION.flatMap(({ side, room, allowed: names }) =>
      names
        .filter((name) => !(side === 'agent' && (room === 'sync' || room === 'metrics') && ['install', 'models', 'sync'].includes(name)))
        .filter((name) => !(room === 'standalone' && name === 'serve'))
        .map((name) => [`${side}/${room}/to-${name}.ts`, imports(`#${side}/${name}/leaf.js`)]),
    );
    const pure = PURE.map((text, index) => [`hub/fleet/decide/pure-${index}.ts`, text]);
    const ports = [['agent/sync/ports.ts', imports('#agent/install/ports.js')]];
    const { status, summary } = check(Object.fromEntries([...allowed, ...pure, ...ports]));
    expect(summary).toContain('0 violations');
    expect(status).toBe(0);
  });

  it.each([...BETWEEN_ROOMS, ...SINGLE_RULES])('$rule refuses $file', ({ rule, file }) => {
    expect(broken.status).toBe(1);
    expect(broken.errors.some((line) => line.startsWith(`error: ${rule}: ${file} ->`))).toBe(true);
  });

  it('has a violation here for each of its rules', () => {
    const names = `import('./test/boundaries/rules.mjs').then((m) => console.log(m.default.forbidden.map((rule) => rule.name).join(' ')))`;
    const rules = execFileSync(process.execPath, ['--input-type=module', '-e', names], { encoding: 'utf8' }).trim().split(' ');
    const covered = new Set([...BETWEEN_ROOMS, ...SINGLE_RULES].map(({ rule }) => rule));
    expect(rules.filter((rule) => !covered.has(rule))).toEqual([]);
  });

  it('refuses to have looked at nothing', () => {
    const { status, summary } = check({ 'hub/fleet/decide/decides.ts': 'not TypeScript (' });
    expect(status, summary).not.toBe(0);
  });
});

describe('what decides', () => {
  let broken: Checked;
  const cases = IMPURE.flatMap(([text, words], index) =>
    (words.startsWith('hub/') ? ['hub/fleet/decide'] : DECIDES).map((folder) => ({ file: `${folder}/impure-${index}.ts`, text, words })),
  );
  beforeAll(() => {
    const looks = { 'hub/fleet/looks.ts': `export const look = () => Date.now();\n` };
    broken = check({ ...looks, ...Object.fromEntries(cases.map(({ file, text }) => [file, text])) });
  });

  it.each(cases)('$file may not: $words', ({ file, words }) => {
    expect(broken.errors).toContain(`error: decisions-are-pure: ${file} -> ${words}`);
  });
});
