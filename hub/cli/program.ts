import { Command } from 'commander';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { addCompletion } from '#shared/terminal/completion.js';
import { createOutput } from '#shared/terminal/output.js';
import { COMMANDS } from './commands.js';
import { completionValues } from './completion-values.js';
import type { Env } from './context.js';
import type { CliDeps } from './deps.js';
import { foregroundClock } from '#shared/kernel/clock.js';

/** Words that look at every command, so that all of them have to be there in full. */
const NEED_ALL = new Set(['help', '__complete']);

const HELP = [
  '\nA first model on a first device:',
  '  skerry hub                                      # runs until Ctrl-C; continue in a second terminal',
  '  skerry trust init --keys ./publisher            # create the keys that sign your models',
  '  skerry publish model.onnx --name vad            # sign and upload version 1',
  '  skerry token create --label site=lab            # token for "skerry-agent enroll"',
  '  skerry deploy vad@1 --to site=lab --wait',
  '\nExit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 partly done.',
].join('\n');

/** The `skerry` program for one call: the command that `argv` names in full, the others as their name and description. */
export async function buildProgram(env: Env, argv: readonly string[]): Promise<Command> {
  const deps: CliDeps = {
    env,
    clock: foregroundClock,
    output: (json) => createOutput({ json, env }),
    resolveHub: async (flags) => (await import('./context.js')).resolveHub(flags, env),
  };
  const program = new Command('skerry')
    .description('Deploys machine-learning models to fleets of devices and keeps them healthy.')
    .version(SKERRY_VERSION, '-V, --version', 'Print the version.')
    .addHelpText('after', HELP);
  const word = argv.find((argument) => !argument.startsWith('-')) ?? '';
  for (const command of COMMANDS) {
    if (command.name === word || NEED_ALL.has(word)) await command.register(program, deps);
    else program.command(command.name).description(command.description);
  }
  addCompletion(program, completionValues(deps));
  return program;
}
