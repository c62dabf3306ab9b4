import type { Command } from 'commander';
import type { Clock } from '#shared/kernel/clock.js';
import type { Output } from '#shared/terminal/output.js';
import type { Env } from './context.js';
import { addHubOptions, type HubFlags, type PublisherCliDeps } from './publisher-deps.js';
import type { HubClient } from './client.js';

/** What the program gives its commands. */
export interface CliDeps extends PublisherCliDeps {
  readonly env: Env;
  readonly clock: Clock;
  readonly output: (json: boolean) => Output;
}

export interface CommonFlags extends HubFlags {
  readonly json?: boolean;
}

/** What a command that talks to the hub starts with. */
export interface HubCommand {
  readonly out: Output;
  readonly hub: HubClient;
}

/** Opens output and hub for the flags of one call. */
export async function openHubCommand(deps: CliDeps, flags: CommonFlags): Promise<HubCommand> {
  const { HubClient: Client } = await import('./client.js');
  return { out: deps.output(flags.json === true), hub: new Client(await deps.resolveHub(flags)) };
}

/** Declares a subcommand with the options that every hub command has, and examples below its help. */
export function hubCommand(parent: Command, name: string, description: string, examples: readonly string[]): Command {
  const command = addHubOptions(parent.command(name).description(description));
  return command.addHelpText(
    'after',
    `\n${examples.length === 1 ? 'Example' : 'Examples'}:\n${examples.map((line) => `  ${line}`).join('\n')}`,
  );
}
