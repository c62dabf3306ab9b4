import type { Command } from 'commander';
import { type Clock, sleep } from '#shared/kernel/clock.js';
import { seconds } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { printJson, printLine } from '#shared/terminal/output.js';
import { type CliDeps, type CommonFlags, hubCommand, openHubCommand } from './deps.js';

interface LoginFlags extends CommonFlags {
  readonly data?: string;
}

/** How long `--data` waits for a hub that is starting. */
const START_TIMEOUT = seconds(30);
const LOOK_EVERY = 100;

/** Adds `skerry login`. */
export function registerLoginCommand(program: Command, deps: CliDeps): void {
  hubCommand(program, 'login', 'Save the address of a hub and a token for later commands.', [
    'skerry login --hub https://hub.example --token skerry_...',
    'SKERRY_TOKEN=$(cat admin.token) skerry login --hub http://127.0.0.1:7480',
    'skerry login --data ./hub',
  ])
    .option('--data <folder>', 'Data folder of a hub on this machine. Use its address and first admin token; wait until it is up.')
    .action(async (flags: LoginFlags) => {
      const local = flags.data === undefined ? {} : await addressOf(flags.data, deps.clock);
      const { out, hub } = await openHubCommand(deps, { ...local, ...flags });
      const { whoAmISchema } = await import('../api/views.js');
      const { saveLogin } = await import('./context.js');
      const who = await hub.get(whoAmISchema, '/api/v1/whoami');
      const file = await saveLogin(deps.env, hub.address);
      if (out.json) printJson(out, { ...who, hub: hub.address.url, file });
      else printLine(out, `Logged in to ${hub.address.url} as "${who.name}" (${who.role}); kept in ${file}.`);
    });
}

/** Address and token of the hub that runs on a data folder. Throws `LOGIN_MISSING` when none comes up in time. */
async function addressOf(data: string, clock: Clock): Promise<{ readonly hub: string; readonly token: string }> {
  const { localHub } = await import('./context.js');
  const begun = clock.monotonic();
  for (;;) {
    const local = await localHub(data);
    if (local !== undefined) return local;
    if (clock.monotonic() - begun > START_TIMEOUT) {
      throw new SkerryError('LOGIN_MISSING', `no hub runs on ${data}, or its first admin token was deleted`);
    }
    await sleep(clock, LOOK_EVERY);
  }
}
