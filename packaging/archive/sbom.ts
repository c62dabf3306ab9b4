import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { PROJECT_ROOT, runNpm } from '../build/tools.js';
import { NODE_VERSION, type NodeSource, type Program, type Target } from '../targets.js';

const componentSchema = z.looseObject({ 'bom-ref': z.string(), name: z.string(), version: z.string() });
const bomSchema = z.looseObject({ components: z.array(componentSchema) });
const packageSchema = z.looseObject({
  name: z.string(),
  version: z.string(),
  license: z.unknown().optional(),
  author: z.unknown().optional(),
});
type PackageFacts = z.infer<typeof packageSchema>;

const SQLITE_FOLDER = 'node_modules/better-sqlite3';
const SBOM_BYTES = 64 * 1024 * 1024;

/** What a package says of itself. */
export async function packageFacts(folder: string): Promise<PackageFacts> {
  const file = path.join(PROJECT_ROOT, folder, 'package.json');
  return parseJson(packageSchema, await readFile(file), { what: file, maxBytes: 1024 * 1024 });
}

/**
 * The bill of materials (CycloneDX 1.5) of one executable: npm's own for the lock file, cut down to the packages whose code
 * is inside, and the runtime. Serial number and time follow from the content and `epoch`, so that it is reproducible.
 */
export async function billOfMaterials(program: Program, target: Target, folders: readonly string[], epoch: number): Promise<string> {
  const bytes = Buffer.from(await runNpm(['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'], { cwd: PROJECT_ROOT }));
  const bom = parseJson(bomSchema, bytes, { what: 'the output of npm sbom', maxBytes: SBOM_BYTES });
  const known = new Map(bom.components.map((component) => [`${component.name}@${component.version}`, component]));
  const inside = await Promise.all(folders.map(packageFacts));
  const names = [...new Set(inside.map(({ name, version }) => `${name}@${version}`))].sort();
  const missing = names.filter((name) => !known.has(name));
  if (missing.length > 0) throw new SkerryError('PACKAGE_SOURCE_CHANGED', `npm sbom knows nothing of ${missing.join(', ')}`);
  const components = [
    ...names.map((name) => withoutAddresses(known.get(name))),
    ...(folders.includes(SQLITE_FOLDER) ? [await sqlite()] : []),
    {
      type: 'platform',
      'bom-ref': `node@${NODE_VERSION}`,
      name: 'node',
      version: NODE_VERSION,
      ...origin(target.node),
      licenses: [{ license: { id: 'MIT' } }],
    },
  ];
  const main = {
    type: 'application',
    'bom-ref': `${program.packageName}@${SKERRY_VERSION}`,
    name: program.packageName,
    version: SKERRY_VERSION,
    licenses: [{ license: { id: 'Apache-2.0' } }],
  };
  const digest = createHash('sha256')
    .update(JSON.stringify([main, target.name, components]))
    .digest('hex');
  const document = {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: `urn:uuid:${asUuid(digest)}`,
    version: 1,
    metadata: { timestamp: new Date(epoch * 1_000).toISOString(), component: main },
    components,
  };
  return `${JSON.stringify(document, undefined, 1)}\n`;
}

/** The database itself, which npm knows nothing of: better-sqlite3 brings its source, and it is compiled in. */
async function sqlite(): Promise<unknown> {
  const header = path.join(PROJECT_ROOT, SQLITE_FOLDER, 'deps', 'sqlite3', 'sqlite3.h');
  const version = /^#define SQLITE_VERSION +"([\d.]+)"$/m.exec(await readFile(header, 'utf8'))?.[1];
  if (version === undefined) throw new SkerryError('PACKAGE_SOURCE_CHANGED', `${header} does not say which SQLite it is`);
  return {
    type: 'library',
    'bom-ref': `sqlite@${version}`,
    name: 'sqlite',
    version,
    purl: `pkg:generic/sqlite@${version}`,
    // What SPDX calls its dedication to the public domain.
    licenses: [{ license: { id: 'blessing' } }],
  };
}

/** Name and digest of the runtime's package; one that was given has neither that we could vouch for. */
function origin(node: NodeSource): Readonly<Record<string, unknown>> {
  if (node.kind === 'given') return { purl: `pkg:generic/node@${NODE_VERSION}` };
  const content = Buffer.from(node.integrity.replace('sha512-', ''), 'base64').toString('hex');
  return { purl: `pkg:npm/${node.package}@${NODE_VERSION}`, hashes: [{ alg: 'SHA-512', content }] };
}

/** Where a copy was downloaded from says something about the machine that built, not about what is inside. */
function withoutAddresses(component: z.infer<typeof componentSchema> | undefined): unknown {
  return { ...component, externalReferences: undefined };
}

/** A digest in the form of a version 8 UUID (RFC 9562). */
function asUuid(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
