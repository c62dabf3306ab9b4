import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { parseModelVersion } from './arguments.js';
import type { CommonFlags } from './deps.js';

export interface DocumentFlags extends CommonFlags {
  readonly file?: string;
  readonly to?: string;
  readonly all?: boolean;
  readonly waves: string;
  readonly bake?: string;
  readonly onFailure?: string;
}

/** Options by which a rollout is described, in a file or in a few words. */
export function withDocument(command: Command): Command {
  return command
    .argument('[model@version]', 'Version to roll out, such as vad@5. Not needed when a file names it.')
    .option('-f, --file <file>', 'Rollout document, YAML or JSON.')
    .option('--to <selector>', 'Label selector of the devices, in the syntax of Kubernetes.')
    .option('--all', 'Select every device.')
    .option('--waves <sizes>', 'Cumulative sizes of the waves: percentages or numbers of devices.', '5%,25%,100%')
    .option('--bake <duration>', 'Minimum time to watch each wave, such as 1h.')
    .option('--on-failure <what>', 'What to do when a gate fails: pause, rollback-wave or rollback-all.');
}

/** The document in the file, or the one the flags describe. Errors: `CLI_USAGE`, `INPUT_TOO_LARGE`, what is wrong with YAML. */
export async function readDocument(name: string | undefined, flags: DocumentFlags): Promise<unknown> {
  if ((name === undefined) === (flags.file === undefined))
    throw new SkerryError('CLI_USAGE', 'the version is missing; name it as MODEL@VERSION or give a document with -f');
  if (flags.file !== undefined) return readYaml(flags.file);
  const { model, version } = parseModelVersion(name ?? '');
  if (version === undefined) throw new SkerryError('CLI_USAGE', `the version is missing; name it as in ${model}@1`);
  if ((flags.to === undefined) !== (flags.all === true)) throw new SkerryError('CLI_USAGE', 'name the devices with --to SELECTOR or --all');
  return {
    model,
    version,
    cohort: flags.to ?? '',
    waves: flags.waves.split(',').map((size) => size.trim()),
    ...(flags.bake === undefined ? {} : { bake: flags.bake }),
    ...(flags.onFailure === undefined ? {} : { onFailure: flags.onFailure }),
  };
}

/** The document as written; the hub checks what it means, with every bad path. */
async function readYaml(file: string): Promise<unknown> {
  const { parseYaml } = await import('../rollouts/document-text.js');
  try {
    const bytes = await readFile(file);
    if (bytes.byteLength > LIMITS.rolloutBytes)
      throw new SkerryError('INPUT_TOO_LARGE', `${file} has more than ${LIMITS.rolloutBytes} bytes`);
    return parseYaml(bytes.toString('utf8'));
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
    throw new SkerryError('CLI_USAGE', `file not found: ${file}`, { cause });
  }
}
