import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { SkerryError } from '#shared/kernel/errors.js';
import { createOutput, type Output, printJson, printLine, printNote } from '#shared/terminal/output.js';
import { readPassphrase } from '#shared/terminal/passphrase.js';
import { runCli } from '#shared/terminal/run-cli.js';
import { passphraseSecret, readKeyFile } from '#shared/trust/key-file.js';
import type { SigningKey } from '#shared/trust/keys.js';
import { CHECKSUMS, CHECKSUMS_SIGNATURE, checksums, signChecksums } from './archive/checksums.js';
import type { Effort } from './archive/compress.js';
import { thirdPartyLicences } from './archive/licences.js';
import { type Format, FORMATS, formatNamed, formatsFor, makeLinuxPackage, writeBeside } from './archive/linux-package.js';
import { billOfMaterials } from './archive/sbom.js';
import { sourceEpoch } from './build/epoch.js';
import { buildProgram } from './build/program.js';
import { OUT } from './build/tools.js';
import { PROGRAM_NAMES, type Program, programNamed, STANDARD_TARGETS, type Target, TARGET_NAMES, targetNamed } from './targets.js';

interface Flags {
  readonly target: readonly string[];
  readonly program: readonly string[];
  readonly format: readonly string[];
  readonly out: string;
  readonly revision: string;
  readonly node?: string;
  readonly sqlite?: string;
  readonly quick?: boolean;
  readonly releaseKey?: string;
  readonly passphraseFile?: string;
  readonly json?: boolean;
}

const command = new Command('package')
  .description('builds the packages: one executable each, in .deb and plain archives, with bill of materials and licences')
  .option('--target <name...>', `of ${TARGET_NAMES.join(', ')}`, [...STANDARD_TARGETS])
  .option('--program <name...>', `one of ${PROGRAM_NAMES.join(', ')}`, [...PROGRAM_NAMES])
  .option('--format <name...>', `of ${FORMATS.join(', ')}`, [...FORMATS])
  .option('--out <folder>', 'where they go', path.join(OUT, 'packages'))
  .option('--revision <number>', "Debian's revision", '1')
  .option('--node <folder>', 'unpacked Node.js distribution for the target, where npm has none')
  .option('--sqlite <file>', 'better_sqlite3.node compiled for the target elsewhere')
  .option('--quick', 'compress lightly: for trying, not for shipping')
  .option('--release-key <file>', 'sealed key that signs the checksums (npm run release-key -- create)')
  .option('--passphrase-file <file>', 'file whose first line opens it (or SKERRY_PASSPHRASE, or it is asked for)')
  .option('--json', 'print the paths as JSON')
  .action(async (flags: Flags) => {
    const out = createOutput({ json: flags.json === true });
    const effort: Effort = flags.quick === true ? 'quick' : 'small';
    // Whatever is wrong with the command is said before minutes of work.
    const targets = flags.target.map(targetNamed);
    const programs = flags.program.map(programNamed);
    const formats = flags.format.map(formatNamed);
    const revision = revisionOf(flags.revision);
    const key = await releaseKey(out, flags);
    const folder = path.resolve(flags.out);
    await mkdir(folder, { recursive: true });
    const epoch = await sourceEpoch();
    const files: string[] = [];
    // Of this process alone: builds side by side do not meet.
    const work = path.join(OUT, 'work', String(process.pid));
    try {
      for (const target of targets) {
        for (const program of programs) files.push(...(await packageProgram(program, target)));
      }
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    const sums = await checksums(files);
    // A signature of what was built before would be taken for one of this.
    await rm(path.join(folder, CHECKSUMS_SIGNATURE), { force: true });
    files.push(await writeBeside(folder, CHECKSUMS, sums));
    if (key === undefined) printNote(out, 'The checksums are not signed: give --release-key.');
    else files.push(await writeBeside(folder, CHECKSUMS_SIGNATURE, signChecksums(sums, key)));
    if (out.json) printJson(out, { files });
    else for (const file of files) printLine(out, file);

    async function packageProgram(program: Program, target: Target): Promise<readonly string[]> {
      const { executable, bundle, node } = await buildProgram(program, target, {
        work: path.join(work, program.name),
        given: {
          ...(flags.node === undefined ? {} : { node: flags.node }),
          ...(flags.sqlite === undefined ? {} : { sqlite: flags.sqlite }),
        },
        say: (text) => printNote(out, text),
      });
      const sbom = await billOfMaterials(program, target, bundle.packages, epoch);
      const licences = await thirdPartyLicences(bundle.packages, node.licence);
      const content = { program, target, executable, sbom, licences, revision, epoch, effort };
      // As it is, whatever else is wanted: what `skerry publish-agent` signs.
      const wanted = new Set<Format>(['executable', ...formatsFor(target, formats)]);
      const made: string[] = [];
      for (const format of wanted) {
        printNote(out, `${program.executable} for ${target.name}: ${format}`);
        made.push(await makeLinuxPackage(content, format, folder, path.join(work, 'archive')));
      }
      return made;
    }
  });

await runCli(command);

/** Debian's revision, as it stands in names and versions. */
function revisionOf(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new SkerryError('PACKAGE_USAGE', `--revision wants a whole number from 1 on, not ${text}`);
}

async function releaseKey(out: Output, { releaseKey: keyFile, passphraseFile: file }: Flags): Promise<SigningKey | undefined> {
  if (keyFile === undefined) return undefined;
  const asked = { what: 'release key', variable: 'SKERRY_PASSPHRASE', ...(file === undefined ? {} : { file }) };
  return readKeyFile(keyFile, passphraseSecret(await readPassphrase(out, asked)));
}
