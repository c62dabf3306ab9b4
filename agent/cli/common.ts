import { type Command, Option } from 'commander';
import { createOutput, type Output } from '#shared/terminal/output.js';
import { AGENT_SETTINGS, dataFolder } from '../config.js';

/** Options every command takes. */
export interface CommonOptions {
  readonly data?: string;
  readonly json?: boolean;
}

export function withData(command: Command): Command {
  return command.addOption(new Option('--data <dir>', AGENT_SETTINGS.data.doc).env(AGENT_SETTINGS.data.env));
}

export function withJson(command: Command): Command {
  return command.option('--json', 'Print JSON, for scripts.');
}

export function dataOf(options: CommonOptions): string {
  return dataFolder({ flags: options.data === undefined ? {} : { data: options.data }, env: process.env });
}

export function outputOf(options: CommonOptions): Output {
  return createOutput({ json: options.json === true });
}
