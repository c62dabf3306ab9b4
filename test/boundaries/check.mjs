// Boundary check: which room may import which, and that what decides reads no clock. Fails on a violation, and when it looked at nothing
// (dependency-cruiser beside TypeScript 7 sees the sources only through swc, and without it cruises 0 modules and exits 0).
// usage: node test/boundaries/check.mjs [FOLDER]   the tree to check (default: this checkout)
import { cruise } from 'dependency-cruiser';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { checkDecisions } from './decisions.mjs';
import config from './rules.mjs';

process.chdir(process.argv[2] ?? '.');
const ROOTS = ['shared', 'agent', 'hub', 'packaging', 'test'].filter((root) => existsSync(root));

function sourcesIn(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => path.posix.join(folder, name));
}

const { output } = await cruise(
  ROOTS,
  {
    ruleSet: config,
    validate: true,
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|node_modules|packaging/out)/' },
  },
  {
    // `#room/x.js` means dist/room/x.js when run; here the arrows are to end at the sources.
    alias: Object.fromEntries(ROOTS.map((root) => [`#${root}`, path.resolve(root)])),
    extensions: ['.ts', '.js'],
    // Packages that say only in `exports` where they begin (aedes).
    exportsFields: ['exports'],
    conditionNames: ['import', 'node', 'default'],
    extensionAlias: { '.js': ['.ts', '.js'] },
  },
);

const modules = output.modules.filter((module) => ROOTS.some((root) => module.source.startsWith(`${root}/`)));
const edges = modules.reduce(
  (sum, module) => sum + module.dependencies.filter((to) => ROOTS.some((root) => to.resolved.startsWith(`${root}/`))).length,
  0,
);
const sources = ROOTS.flatMap((root) => sourcesIn(root));
const decisions = checkDecisions('.', sources);
const violations = [...output.summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to })), ...decisions.violations];
for (const { rule, from, to } of violations) console.error(`error: ${rule}: ${from} -> ${to}`);
console.log(
  `boundaries: ${modules.length} modules of ${sources.length}, ${edges} imports between them, ${decisions.files} files that decide, ${violations.length} violations`,
);
if (modules.length < sources.length || modules.length === 0 || edges === 0 || decisions.files === 0) {
  console.error('boundaries: the checker did not see every module; is @swc/core installed?');
  process.exit(1);
}
process.exit(violations.length === 0 ? 0 : 1);
