import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { SkerryError } from '#shared/kernel/errors.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { exists, PROJECT_ROOT } from '../build/tools.js';
import type { Program, Target } from '../targets.js';
import { type Effort, packTar } from './compress.js';
import { makeDeb } from './deb.js';
import { layOut, type TreeEntry } from './tree.js';

/** `executable`: the one file alone. */
export const FORMATS = ['executable', 'deb', 'tar.gz', 'tar.xz'] as const;
export type Format = (typeof FORMATS)[number];

/** Narrows the name of a format, or says which there are. */
export function formatNamed(name: string): Format {
  const found = FORMATS.find((candidate) => candidate === name);
  if (found === undefined) throw new SkerryError('PACKAGE_USAGE', `there is no format ${name}; there are ${FORMATS.join(', ')}`);
  return found;
}

interface LinuxPackage {
  readonly program: Program;
  readonly target: Target;
  readonly executable: string;
  readonly sbom: string;
  readonly licences: string;
  /** Debian's revision of the same release. */
  readonly revision: number;
  /** Seconds since 1970 that every file inside carries (reproducible-builds.org, SOURCE_DATE_EPOCH). */
  readonly epoch: number;
  readonly effort: Effort;
}

const LINUX = path.join(PROJECT_ROOT, 'packaging', 'linux');
const MAINTAINER = 'The Skerry authors <skerry@localhost>';

/** Builds one archive of a program in `out`; returns its path. `work` is a folder for what lies between. */
export async function makeLinuxPackage(content: LinuxPackage, format: Format, out: string, work: string): Promise<string> {
  await mkdir(out, { recursive: true });
  if (format === 'deb') return debianPackage(content, out, work);
  if (format !== 'executable' && content.target.platform !== 'linux') return foreignArchive(content, format, out, work);
  if (format !== 'executable') return plainArchive(content, format, out, work);
  const file = path.join(out, `${content.program.executable}-${content.target.name}${content.target.platform === 'win32' ? '.exe' : ''}`);
  await copyFile(content.executable, file);
  return file;
}

async function debianPackage(content: LinuxPackage, out: string, work: string): Promise<string> {
  const { program, target, executable, epoch, effort, revision } = content;
  const name = program.packageName;
  const library = `usr/lib/${name}/${program.executable}`;
  const fill = filler(program, `/${library}`);
  const docs = `usr/share/doc/${name}`;
  const wrapper = await fill('wrapper');
  const entries: TreeEntry[] = [
    { kind: 'file', path: library, from: executable, mode: 0o755 },
    wrapper === undefined
      ? { kind: 'link', path: `usr/bin/${program.executable}`, to: `../lib/${name}/${program.executable}` }
      : { kind: 'text', path: `usr/bin/${program.executable}`, text: wrapper, mode: 0o755 },
    ...(await unitFiles(program, fill)).map(([unit, text]) => textFile(`usr/lib/systemd/system/${unit}`, text)),
    { ...textFile(`etc/${name}/${configName(program)}`, (await fill('config.yaml')) ?? ''), conffile: true },
    ...(await documents(content, fill)).map(([file, text]) => textFile(`${docs}/${file === 'LICENSE' ? 'copyright' : file}`, text)),
    ...(await changelogs(content)).map(([file, text]) => ({ ...textFile(`${docs}/${file}`, ''), text: gzipSync(text, { level: 9 }) })),
  ];
  const version = debianVersion(revision);
  const scripts = await Promise.all(
    ['postinst', 'prerm', 'postrm'].map(async (script) => [script, (await fill(`../scripts/${script}`)) ?? ''] as const),
  );
  const file = path.join(out, `${name}_${version}_${target.debian ?? target.arch}.deb`);
  await makeDeb(
    file,
    {
      control: {
        Package: name,
        Version: version,
        Architecture: target.debian ?? target.arch,
        Maintainer: MAINTAINER,
        Depends: 'libc6 (>= 2.28), libstdc++6 (>= 8), adduser, init-system-helpers (>= 1.51), util-linux',
        Section: 'science',
        Priority: 'optional',
        Description: `${program.summary}\n One executable with its runtime inside; nothing else is needed.`,
      },
      scripts: Object.fromEntries(scripts),
      entries,
    },
    work,
    epoch,
    effort,
  );
  return file;
}

/** The release's own changelog, and that of its packages (Debian policy 12.7). */
async function changelogs({ program, revision, epoch }: LinuxPackage): Promise<readonly (readonly [string, string])[]> {
  const day = new Date(epoch * 1_000).toUTCString().replace('GMT', '+0000');
  const entry = [
    `${program.packageName} (${debianVersion(revision)}) unstable; urgency=medium`,
    `  * Release ${SKERRY_VERSION}; what changed is in changelog.gz.`,
    ` -- ${MAINTAINER}  ${day}\n`,
  ];
  return [
    ['changelog.gz', await readFile(path.join(PROJECT_ROOT, 'CHANGELOG.md'), 'utf8')],
    ['changelog.Debian.gz', entry.join('\n\n')],
  ];
}

function debianVersion(revision: number): string {
  return `${SKERRY_VERSION}-${revision}`;
}

async function plainArchive(content: LinuxPackage, format: 'tar.gz' | 'tar.xz', out: string, work: string): Promise<string> {
  const { program, target, executable, epoch, effort } = content;
  const fill = filler(program, `/usr/local/lib/${program.packageName}/${program.executable}`);
  const wrapper = await fill('wrapper');
  const folder = path.join(work, 'plain');
  await layOut(folder, [
    { kind: 'file', path: program.executable, from: executable, mode: 0o755 },
    ...(wrapper === undefined ? [] : [{ ...textFile('wrapper', wrapper), mode: 0o755 }]),
    ...(await unitFiles(program, fill)).map(([unit, text]) => textFile(unit, text)),
    textFile(configName(program), (await fill('config.yaml')) ?? ''),
    { ...textFile('install.sh', (await fill('../scripts/install.sh')) ?? ''), mode: 0o755 },
    ...(await documents(content, fill)).map(([file, text]) => textFile(file, text)),
  ]);
  const name = `${program.packageName}-${SKERRY_VERSION}-${target.name}`;
  const file = path.join(out, `${name}.${format}`);
  await packTar(folder, file, name, epoch, format === 'tar.gz' ? 'gz' : 'xz', effort);
  await rm(folder, { recursive: true });
  return file;
}

/** Executable, the files of packaging/macos or packaging/windows, papers. */
async function foreignArchive(content: LinuxPackage, format: 'tar.gz' | 'tar.xz', out: string, work: string): Promise<string> {
  const { program, target, executable, epoch, effort } = content;
  const room = path.join(PROJECT_ROOT, 'packaging', target.platform === 'darwin' ? 'macos' : 'windows');
  // A hub is no service of such a machine: it comes as the executable alone.
  const files = program.name === 'agent' ? (await readdir(room)).sort() : [];
  const fill = filler(program, program.executable);
  const folder = path.join(work, 'plain');
  await layOut(folder, [
    { kind: 'file', path: target.platform === 'win32' ? `${program.executable}.exe` : program.executable, from: executable, mode: 0o755 },
    ...files.map(
      (name) => ({ kind: 'file', path: name, from: path.join(room, name), mode: name.endsWith('.sh') ? 0o755 : 0o644 }) as const,
    ),
    textFile(configName(program), (await fill('config.yaml')) ?? ''),
    ...(await documents(content, fill)).filter(([file]) => file !== 'README').map(([file, text]) => textFile(file, text)),
  ]);
  const name = `${program.packageName}-${SKERRY_VERSION}-${target.name}`;
  const file = path.join(out, `${name}.${format}`);
  await packTar(folder, file, name, epoch, format === 'tar.gz' ? 'gz' : 'xz', effort);
  await rm(folder, { recursive: true });
  return file;
}

/** Formats of a target among those asked for; `PACKAGE_USAGE` when there is none. */
export function formatsFor(target: Target, asked: readonly Format[]): readonly Format[] {
  const made = asked.filter((format) => target.platform === 'linux' || format !== 'deb');
  if (made.length === 0) throw new SkerryError('PACKAGE_USAGE', `there is no ${asked.join(', ')} for ${target.name}`);
  return made;
}

/** Units of a program, in the order they are started. */
function units(program: Program): readonly string[] {
  return program.name === 'agent' ? ['skerry-agent-enrolled.path', 'skerry-agent.service'] : ['skerry-hub.service'];
}

function configName(program: Program): string {
  return `${program.name}.yaml`;
}

type Fill = (file: string) => Promise<string | undefined>;

/** Reads a file of packaging/linux/<program> with its `@WORDS@` filled in; `undefined` where the program has no such file. */
function filler(program: Program, executable: string): Fill {
  const words: Readonly<Record<string, string>> = {
    PROGRAM: executable,
    PACKAGE: program.packageName,
    EXECUTABLE: program.executable,
    SUMMARY: program.summary,
    CONFIG: configName(program),
    UNITS: units(program).join(' '),
  };
  return async (name) => {
    const file = path.join(LINUX, program.name, name);
    if (!(await exists(file))) return undefined;
    return (await readFile(file, 'utf8')).replaceAll(/@([A-Z]+)@/g, (whole, word: string) => words[word] ?? whole);
  };
}

async function unitFiles(program: Program, fill: Fill): Promise<readonly (readonly [string, string])[]> {
  return Promise.all(units(program).map(async (unit) => [unit, (await fill(path.extname(unit).slice(1))) ?? ''] as const));
}

async function documents(content: LinuxPackage, fill: Fill): Promise<readonly (readonly [string, string])[]> {
  return [
    ['LICENSE', await readFile(path.join(PROJECT_ROOT, 'LICENSE'), 'utf8')],
    ['README', (await fill('README')) ?? ''],
    ['third-party-licences.txt', content.licences],
    ['sbom.cdx.json', content.sbom],
  ];
}

function textFile(file: string, text: string): Extract<TreeEntry, { kind: 'text' }> {
  return { kind: 'text', path: file, text, mode: 0o644 };
}

/** Writes text beside the packages. */
export async function writeBeside(out: string, name: string, text: string | Uint8Array): Promise<string> {
  const file = path.join(out, name);
  await writeFile(file, text);
  return file;
}
