import { InvalidArgumentError, type Command } from 'commander';
import { agentVariantName, releaseTextSchema } from '#shared/bundle/agent-manifest.js';
import { PACKAGED_RELEASE } from '#shared/bundle/kinds.js';
import type { VersionNumber } from '#shared/bundle/names.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { formatBytes } from '#shared/terminal/format.js';
import { requireFiles } from '#shared/terminal/named-files.js';
import { type Output, printJson, printNote } from '#shared/terminal/output.js';
import type { Progress } from '#shared/terminal/progress.js';
import { checkMaySignAgents } from '../publisher/agent-right.js';
import { buildRelease, type ReleaseStep } from '../publisher/build-agent.js';
import { parseVersion } from './publish-options.js';
import { barsOf, printResult } from './publish-view.js';
import { addPublisherOptions, type PublisherCliDeps } from './publisher-deps.js';
import { signAndUpload, type UploadFlags } from './sign-and-upload.js';

interface PublishAgentFlags extends UploadFlags {
  readonly release: string;
  readonly takesOverFrom: VersionNumber;
}

const HELP = `
Give one file for each platform. The platform is read from the header of the file (ELF, Mach-O, PE), not from its name.
"npm run package" writes the executables to packaging/out/packages. Only publishers added with
"skerry trust add-publisher ... --agent" can sign releases of the agent.

Deploy a release like a version of a model: "skerry deploy skerry-agent@4 --to SELECTOR", or in waves with
"skerry rollout create". A device rolls back automatically when the new agent does not start healthy and connected.

Examples
  skerry publish-agent packaging/out/packages/skerry-agent-linux-* --release 0.4.0 --keys ./publisher
  skerry publish-agent skerry-agent-linux-x64 --release 0.4.1 --takes-over-from 3 --keys ./publisher --passphrase-file ./passphrase
`;

/** Adds `skerry publish-agent`. */
export function registerPublishAgentCommand(program: Command, deps: PublisherCliDeps): void {
  // As for `publish`: the --version behind the word is that of the command.
  program.enablePositionalOptions();
  const command = program
    .command('publish-agent')
    .description('Publish a release of the agent: sign and upload its executables.')
    .argument('<executables...>', 'Executables of the agent, one for each platform.')
    .option('--release <text>', 'Name of the release, for readers.', parseRelease, SKERRY_VERSION)
    .option('--version <n>', 'Release number, 2 or higher. Orders the releases. (default: the next free number)', parseVersion)
    .option(
      '--takes-over-from <n>',
      'Lowest release number whose data this release can take over. 1 is the agent of a package.',
      parseVersion,
      PACKAGED_RELEASE,
    )
    .option('--min-version <n>', 'Lowest release that devices may still install, also when they roll back.', parseVersion)
    .option('--description <text>', 'Description of the change, for readers.')
    .option('--role <name>', 'Publisher to sign as. Required when the folder holds several.');
  addPublisherOptions(command)
    .addHelpText('after', HELP)
    .action(async (paths: readonly string[], flags: PublishAgentFlags) => {
      const out = deps.output(flags.json === true);
      await requireFiles(paths);
      const { release, takesOverFrom, description } = flags;
      const request = { paths, release, takesOverFrom, ...(description === undefined ? {} : { description }) };
      const published = await signAndUpload(deps, flags, {
        build: (to, progress) => buildRelease(request, showBuild(to, progress)),
        checkMaySign: checkMaySignAgents,
      });
      const result = { release, ...published };
      if (out.json) printJson(out, result);
      else printResult(out, result);
    });
}

function showBuild(out: Output, progress: Progress): (step: ReleaseStep) => void {
  const bars = barsOf(progress);
  return (step) => {
    if (step.kind === 'cutting') return bars(`cut ${step.variant}`, step.read, step.total);
    const { path, format, sizeBytes } = step.executable;
    printNote(out, `${path}: ${format}, ${agentVariantName(step.executable)}, ${formatBytes(sizeBytes)}`);
  };
}

function parseRelease(text: string): string {
  const release = releaseTextSchema.safeParse(text);
  if (release.success) return release.data;
  throw new InvalidArgumentError('Expected a release such as 0.4.0 or 0.4.0-rc.1.');
}
