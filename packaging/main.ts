import { copyFile, mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { createOutput, printJson, printLine, printNote } from '#shared/terminal/output.js';
import { readPassphrase } from '#shared/terminal/passphrase.js';
import { runCli } from '#shared/terminal/run-cli.js';
import { passphraseSecret, readKeyFile } from '#shared/trust/key-file.js';
import { CHECKSUMS, CHECKSUMS_SIGNATURE, checksums, signChecksums } from './archive/checksums.js';
import type { Effort } from './archive/compress.js';
import { thirdPartyLicences } from './archive/licences.js';
import { FORMATS, formatNamed, formatsFor, makeLinuxPackage, writeBeside } from './archive/linux-package.js';
import { billOfMaterials } from './archive/sbom.js';
import { sourceEpoch } from './build/epoch.js';
import { buildProgram } from './build/program.js';
import { OUT } from './build/tools.js';
import { PROGRAM_NAMES, programNamed, STANDARD_TARGETS, type Target, TARGET_NAMES, targetNamed } from './targets.js';

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
    const folder = path.resolve(flags.out);
    await mkdir(folder, { recursive: true });
    const epoch = await sourceEpoch();
    const files: string[] = [];
    // Of this process alone: builds side by side do not meet.
    const work = path.join(OUT, 'work', String(process.pid));
    try {
      for (const target of flags.target.map(targetNamed)) {
        for (const name of flags.program) files.push(...(await packageProgram(name, target)));
      }
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    const sums = await checksums(files);
    files.push(await writeBeside(folder, CHECKSUMS, sums));
    if (flags.releaseKey === undefined) printNote(out, 'The checksums are not signed: give --release-key.');
    else {
      const file = flags.passphraseFile;
      const secret = await readPassphrase(out, {
        what: 'release key',
        variable: 'SKERRY_PASSPHRASE',
        ...(file === undefined ? {} : { file }),
      });
      const key = await readKeyFile(flags.releaseKey, passphraseSecret(secret));
      files.push(await writeBeside(folder, CHECKSUMS_SIGNATURE, signChecksums(sums, key)));
    }
    if (out.json) printJson(out, { files });
    else for (const file of files) printLine(out, file);

    async function packageProgram(name: string, target: Target): Promise<readonly string[]> {
      const program = programNamed(name);
      const { executable, bundle, node } = await buildProgram(program, target, {
        work: path.join(work, name),
        given: {
          ...(flags.node === undefined ? {} : { node: flags.node }),
          ...(flags.sqlite === undefined ? {} : { sqlite: flags.sqlite }),
        },
        say: (text) => printNote(out, text),
      });
      const sbom = await billOfMaterials(program, target, bundle.packages, epoch);
      const licences = await thirdPartyLicences(bundle.packages, node.licence);
      const content = { program, target, executable, sbom, licences, revision: Number(flags.revision), epoch, effort };
      // As it is: what `skerry publish-agent` signs.
      const bare = path.join(folder, path.basename(executable).replace(program.executable, `${program.executable}-${target.name}`));
      await copyFile(executable, bare);
      const made: string[] = [bare];
      for (const format of formatsFor(target, flags.format.map(formatNamed))) {
        printNote(out, `${program.executable} for ${target.name}: ${format}`);
        made.push(await makeLinuxPackage(content, format, folder, path.join(work, 'archive')));
      }
      return made;
    }
  });

await runCli(command);
