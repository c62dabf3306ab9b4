import type { Command } from 'commander';
import { confirm } from '#shared/terminal/confirm.js';
import { printJson, printLine, printNote } from '#shared/terminal/output.js';
import { parseSpan } from './arguments.js';
import { type CliDeps, type CommonFlags, hubCommand, openHubCommand } from './deps.js';

interface RemoveFlags extends CommonFlags {
  readonly yes?: boolean;
}

interface ReplaceFlags extends CommonFlags {
  readonly expires?: string;
  readonly force?: boolean;
}

/** Adds `skerry device remove|restore|replace`: who may act under the name of a device. */
export function registerDeviceIdentityCommands(device: Command, deps: CliDeps): void {
  hubCommand(device, 'remove', 'Remove a device from the fleet. "skerry device restore" undoes it.', [
    'skerry device remove cam-7',
    'skerry device remove cam-7 --yes',
  ])
    .argument('<device>', 'Name of the device.')
    .option('--yes', 'Do not ask for confirmation.')
    .action(async (id: string, flags: RemoveFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      if (flags.yes !== true) await confirm(out, `Remove ${id}? It can no longer connect; what it serves now it keeps serving.`);
      await hub.remove(`/api/v1/devices/${encodeURIComponent(id)}`);
      if (out.json) return printJson(out, { device: id, removed: true });
      printLine(out, `Removed ${id}: it can no longer connect.`);
      printNote(out, `To undo this: skerry device restore ${id}. To give its name to another machine: skerry device replace ${id}.`);
    });
  hubCommand(device, 'restore', 'Restore a removed device. It keeps its key.', ['skerry device restore cam-7'])
    .argument('<device>', 'Name of the device.')
    .action(async (id: string, flags: CommonFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const { deviceDetailSchema } = await import('../fleet/device-view.js');
      const detail = await hub.post(deviceDetailSchema, `/api/v1/devices/${encodeURIComponent(id)}/restore`, undefined);
      if (out.json) printJson(out, detail);
      else printLine(out, `Restored ${detail.id}: it may connect again with the key it has.`);
    });
  hubCommand(device, 'replace', 'Replace the hardware of a device: print an enrolment token for its name.', [
    'skerry device replace cam-7',
    'TOKEN=$(skerry device replace cam-7 --expires 2h)',
  ])
    .argument('<device>', 'Name of the device.')
    .option('--expires <duration>', 'Validity of the token, such as 2h. (default: 1d)')
    .option('--force', 'Replace a device that is connected. It is disconnected when the new one enrols.')
    .action((id: string, flags: ReplaceFlags) => runReplace(deps, id, flags));
}

async function runReplace(deps: CliDeps, id: string, flags: ReplaceFlags): Promise<void> {
  const { out, hub } = await openHubCommand(deps, flags);
  const { createdEnrolmentTokenSchema } = await import('../fleet/enrolment-view.js');
  const body = {
    ...(flags.force === true ? { evenIfOnline: true } : {}),
    ...(flags.expires === undefined ? {} : { expiresInSeconds: Math.ceil(parseSpan(flags.expires, '--expires') / 1_000) }),
  };
  const created = await hub.post(createdEnrolmentTokenSchema, `/api/v1/devices/${encodeURIComponent(id)}/replacement`, body);
  if (out.json) return printJson(out, created);
  printNote(out, `Enrol the new machine as ${id} by ${created.expiresAt}: skerry-agent enroll --hub URL --token TOKEN`);
  printNote(out, 'The token is shown only now:');
  printLine(out, created.token);
}
