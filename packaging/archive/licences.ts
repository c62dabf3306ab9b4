import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import { PROJECT_ROOT } from '../build/tools.js';
import { NODE_VERSION } from '../targets.js';
import { packageFacts } from './sbom.js';

const LICENCE_FILE = /^(licen[cs]e|copying|notice|thirdpartynotices)([.-].*)?$/i;
const RULE = '='.repeat(100);

/** Licences of everything inside an executable, one after the other. A package without any is refused. */
export async function thirdPartyLicences(folders: readonly string[], nodeLicence: string): Promise<string> {
  const sections = new Map<string, string>();
  for (const folder of folders) {
    const facts = await packageFacts(folder);
    sections.set(`${facts.name} ${facts.version}`, await licenceOf(folder));
  }
  const sorted = [...sections].sort(([a], [b]) => (a < b ? -1 : 1));
  sorted.push(
    [`Node.js ${NODE_VERSION}, with what it contains`, (await readFile(nodeLicence, 'utf8')).trim()],
    ['SQLite, inside better-sqlite3', 'SQLite is in the public domain: https://sqlite.org/copyright.html'],
  );
  return [
    'The executable contains Skerry (Apache License 2.0, see LICENSE) and the following.',
    ...sorted.map(([title, text]) => `${RULE}\n${title}\n${RULE}\n\n${text}`),
    '',
  ].join('\n\n');
}

async function licenceOf(folder: string): Promise<string> {
  const where = path.join(PROJECT_ROOT, folder);
  const files = (await readdir(where)).filter((name) => LICENCE_FILE.test(name)).sort();
  const texts = await Promise.all(files.map(async (name) => (await readFile(path.join(where, name), 'utf8')).trim()));
  if (texts.length > 0) return texts.join('\n\n');
  // Some packages name their licence and leave its text out.
  const facts = await packageFacts(folder);
  const named = z.enum(['MIT', 'ISC']).safeParse(facts.license).data;
  if (named === undefined) {
    throw new SkerryError(
      'PACKAGE_SOURCE_CHANGED',
      `${folder} has no licence file, and says ${JSON.stringify(facts.license)}; add its text`,
    );
  }
  const text = await readFile(path.join(PROJECT_ROOT, 'packaging', 'licences', `${named}.txt`), 'utf8');
  return `${named} License\n\nCopyright (c) ${holder(facts.name, facts.author)}\n\n${text.trim()}`;
}

const authorSchema = z.union([z.string(), z.object({ name: z.string() }).transform(({ name }) => name)]);

function holder(name: string, author: unknown): string {
  // onnxruntime's packages are Microsoft's; their source files say so.
  if (name.startsWith('onnxruntime')) return 'Microsoft Corporation';
  return authorSchema.safeParse(author).data ?? `the authors of ${name}`;
}
