import type { Command } from 'commander';
import { SkerryError } from '#shared/kernel/errors.js';
import { type Output, printJson, printLine, printNote } from '#shared/terminal/output.js';
import type { Place } from '../fleet/hub-place-view.js';
import { type CliDeps, type CommonFlags, hubCommand, openHubCommand } from './deps.js';
import { collectText } from './publish-options.js';

interface MoveFlags extends CommonFlags {
  readonly mqttUrl: readonly string[];
  readonly cancel?: boolean;
}

const PATH = '/api/v1/hub/place';

/** Adds `skerry hub move|addresses`. */
export function registerHubMoveCommands(hub: Command, deps: CliDeps): void {
  hubCommand(hub, 'move', 'Announce the new address of a hub to all devices, signed, before the hub moves.', [
    'skerry hub move https://new.example:7480 --mqtt-url mqtts://new.example:8883',
    'skerry hub move --cancel',
  ])
    .argument('[url]', 'New URL of the API. Devices reach the embedded broker there over WebSocket.')
    .option('--mqtt-url <url>', 'New URL of the broker. Repeatable.', collectText, [])
    .option('--cancel', 'Cancel an announced move.')
    .action((url: string | undefined, flags: MoveFlags) => runMove(deps, url, flags));
  hubCommand(hub, 'addresses', 'Show the announced addresses of the hub, and which devices know them.', ['skerry hub addresses']).action(
    async (flags: CommonFlags) => {
      const { out, hub: client } = await openHubCommand(deps, flags);
      const { placeSchema } = await import('../fleet/hub-place-view.js');
      printPlace(out, await client.get(placeSchema, PATH));
    },
  );
}

async function runMove(deps: CliDeps, url: string | undefined, flags: MoveFlags): Promise<void> {
  const wantsPlace = url !== undefined || flags.mqttUrl.length > 0;
  if (wantsPlace === (flags.cancel === true)) throw new SkerryError('CLI_USAGE', 'name the new address of the hub, or --cancel');
  const { out, hub } = await openHubCommand(deps, flags);
  const { placeSchema } = await import('../fleet/hub-place-view.js');
  if (flags.cancel === true) return printPlace(out, await hub.delete(placeSchema, PATH));
  const place = await hub.put(placeSchema, PATH, { ...(url === undefined ? {} : { api: url }), brokers: flags.mqttUrl });
  printPlace(out, place);
  printNote(out, 'Move the hub once all devices know it: "skerry hub addresses" says which do. docs/OPERATIONS.md, "Moving the hub".');
}

function printPlace(out: Output, place: Place): void {
  if (out.json) return printJson(out, place);
  const { api, brokers, devices } = place;
  if (brokers.length === 0) return printLine(out, 'Devices know the addresses that they were told at enrolment.');
  if (api !== null) printLine(out, `API      ${api}`);
  for (const broker of brokers) printLine(out, `broker   ${broker}`);
  const rest = devices.all - devices.informed;
  printLine(out, `devices  ${devices.informed} of ${devices.all} know these addresses`);
  if (rest > 0) printLine(out, `waiting  ${devices.waiting.join(', ')}${rest > devices.waiting.length ? ', ...' : ''}`);
}
