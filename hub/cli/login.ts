import type { Command } from 'commander';
import { printJson, printLine } from '#shared/terminal/output.js';
import { type CliDeps, type CommonFlags, hubCommand, openHubCommand } from './deps.js';

/** Adds `skerry login`. */
export function registerLoginCommand(program: Command, deps: CliDeps): void {
  hubCommand(program, 'login', 'keep the address of a hub and a token for the commands that follow', [
    'skerry login --hub https://hub.example --token skerry_...',
    'SKERRY_TOKEN=$(cat admin.token) skerry login --hub http://127.0.0.1:7480',
  ]).action(async (flags: CommonFlags) => {
    const { out, hub } = await openHubCommand(deps, flags);
    const { whoAmISchema } = await import('../api/views.js');
    const { saveLogin } = await import('./context.js');
    const who = await hub.get(whoAmISchema, '/api/v1/whoami');
    const file = await saveLogin(deps.env, hub.address);
    if (out.json) printJson(out, { ...who, hub: hub.address.url, file });
    else printLine(out, `Logged in to ${hub.address.url} as "${who.name}" (${who.role}); kept in ${file}.`);
  });
}
