import type { Command } from 'commander';
import { type CliDeps, type CommonFlags, hubCommand, openHubCommand } from './deps.js';

/** Adds `skerry openapi`. */
export function registerOpenApiCommand(program: Command, deps: CliDeps): void {
  hubCommand(program, 'openapi', 'Print the OpenAPI document of the hub.', ['skerry openapi > skerry.json']).action(
    async (flags: CommonFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      out.stdout.write(await hub.bytes('/api/v1/openapi.json'));
      out.stdout.write('\n');
    },
  );
}
