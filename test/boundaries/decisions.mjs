// Files that decide and all they run: no clock, no chance, no I/O. dependency-cruiser does not tell imports of types from others, and
// does not see globals; this does, with the same parser.
import { parseSync } from '@swc/core';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DECIDING, IMPURE_CALLS, IMPURE_GLOBALS, IMPURE_MODULES } from './rules.mjs';

/** Violations of the files that decide among `sources` (paths below `root`), in the form of dependency-cruiser's. */
export function checkDecisions(root, sources) {
  const known = new Map();
  const lookAt = (file) => {
    if (!known.has(file)) known.set(file, inspect(root, file));
    return known.get(file);
  };
  const violations = sources
    .filter((file) => DECIDING.test(file))
    .flatMap((from) =>
      reached(from, lookAt).flatMap(({ file, chain }) => {
        const { imports, impure } = lookAt(file);
        const modules = imports.filter((name) => IMPURE_MODULES.test(name)).map((name) => [...chain, name]);
        return [...modules, ...impure.map((use) => [...chain, use])].map((way) => ({
          rule: 'decisions-are-pure',
          from,
          to: way.join(' -> '),
        }));
      }),
    );
  return { violations, files: sources.filter((file) => DECIDING.test(file)).length };
}

/** A file and everything of ours that it runs, each with the way there. */
function reached(from, lookAt) {
  const seen = new Set([from]);
  const found = [{ file: from, chain: [] }];
  for (const { file, chain } of found) {
    for (const name of lookAt(file).imports) {
      if (seen.has(name) || IMPURE_MODULES.test(name) || !name.endsWith('.ts')) continue;
      seen.add(name);
      found.push({ file: name, chain: [...chain, name] });
    }
  }
  return found;
}

/** What a file imports at run time, ours by path, and which impure globals it uses. */
function inspect(root, file) {
  const tree = parseSync(readFileSync(path.join(root, file), 'utf8'), { syntax: 'typescript' });
  const imports = [];
  const impure = [];
  walk(tree, (node) => {
    const specifier = importedBy(node);
    if (specifier !== undefined) imports.push(resolve(root, file, specifier));
    const use = impureUse(node);
    if (use !== undefined) impure.push(use);
  });
  return { imports, impure };
}

function importedBy(node) {
  if (node.type === 'ImportDeclaration' && !node.typeOnly) {
    const onlyTypes = node.specifiers.length > 0 && node.specifiers.every((each) => each.isTypeOnly === true);
    return onlyTypes ? undefined : node.source.value;
  }
  if (node.type === 'ExportNamedDeclaration' || node.type === 'ExportAllDeclaration') return node.typeOnly ? undefined : node.source?.value;
  if (node.type === 'CallExpression' && node.callee.type === 'Import') return node.arguments[0]?.expression.value;
  return undefined;
}

function impureUse(node) {
  if (node.type === 'MemberExpression') {
    const owner = nameOf(node.object);
    const name = propertyOf(node);
    return IMPURE_GLOBALS[owner]?.includes(name) === true ? `${owner}.${name}` : undefined;
  }
  // `const { now } = Date`, and whatever else takes the object itself.
  if (node.type === 'VariableDeclarator' && node.init?.type === 'Identifier' && node.init.value in IMPURE_GLOBALS) return node.init.value;
  if (node.type === 'NewExpression' && node.callee.value === 'Date' && (node.arguments ?? []).length === 0) return 'new Date()';
  if (node.type === 'CallExpression' && node.callee.type === 'Identifier' && [...IMPURE_CALLS, 'Date'].includes(node.callee.value)) {
    return `${node.callee.value}()`;
  }
  return undefined;
}

/** The last name of `Date` and of `globalThis.Date`. */
function nameOf(expression) {
  if (expression.type === 'Identifier') return expression.value;
  return expression.type === 'MemberExpression' ? propertyOf(expression) : undefined;
}

function propertyOf({ property }) {
  return property.type === 'Computed' ? property.expression.value : property.value;
}

function resolve(root, file, specifier) {
  if (!specifier.startsWith('#') && !specifier.startsWith('.')) return specifier;
  const target = specifier.startsWith('#') ? specifier.slice(1) : path.posix.join(path.posix.dirname(file), specifier);
  const source = target.replace(/\.js$/, '.ts');
  return existsSync(path.join(root, source)) ? source : target;
}

function walk(node, visit) {
  if (Array.isArray(node)) {
    for (const each of node) walk(each, visit);
    return;
  }
  if (typeof node !== 'object' || node === null) return;
  if (typeof node.type === 'string') visit(node);
  for (const value of Object.values(node)) if (typeof value === 'object') walk(value, visit);
}
