// Boundary check: which room may import which. Fails on a forbidden import, on a cycle, and when it looked at nothing
// (dependency-cruiser beside TypeScript 7 sees the sources only through swc, and without it cruises 0 modules and exits 0).
import { cruise } from 'dependency-cruiser';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import config from './rules.mjs';

const ROOTS = ['shared', 'agent', 'hub', 'packaging', 'test'];

function countSources(folder) {
  return readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.ts')).length;
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
const expected = ROOTS.reduce((sum, root) => sum + countSources(root), 0);
for (const { rule, from, to } of output.summary.violations) console.error(`${rule.severity}: ${rule.name}: ${from} -> ${to}`);
console.log(
  `boundaries: ${modules.length} modules of ${expected}, ${edges} imports between them, ${output.summary.violations.length} violations`,
);
if (modules.length < expected || modules.length === 0 || edges === 0) {
  console.error('boundaries: the checker did not see every module; is @swc/core installed?');
  process.exit(1);
}
process.exit(output.summary.violations.length === 0 ? 0 : 1);
