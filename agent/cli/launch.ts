import type { Command } from 'commander';
import { keepNativePartsBelow } from '#shared/kernel/native-parts.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { loadAgentConfig } from '../config.js';
import { EX_TEMPFAIL, type RunFlags, runAgent, settingFlags, withSettings } from './run.js';

export function addLaunch(program: Command): void {
  const command = program
    .command('launch')
    .description('Run the agent as a service: start the good release, try new ones, and roll back from failed ones.');
  command.addHelpText('after', '\nExample:\n  skerry-agent launch --data /var/lib/skerry-agent');
  withSettings(command, launchAgent);
}

async function launchAgent(flags: RunFlags): Promise<void> {
  const [{ packagedProgram }, { SlotFolder }] = await Promise.all([
    import('#shared/kernel/packaged-program.js'),
    import('../update/slot-folder.js'),
  ]);
  const config = await loadAgentConfig({ flags: settingFlags(flags), env: process.env, configFile: flags.config });
  const folder = new SlotFolder(config.data);
  const packaged = packagedProgram();
  if (packaged === undefined) return runAgent(flags, undefined);
  // The kernel ends the first process of a container by no signal it does not handle, so by no timer either.
  if (process.pid === 1) {
    const { superviseAgent } = await import('../update/supervise.js');
    process.exitCode = await superviseAgent({ folder, command: [packaged.file, ...process.argv.slice(2)], tryAgain: EX_TEMPFAIL });
    return;
  }
  keepNativePartsBelow(config.data);
  const { launch } = await import('../update/launch.js');
  const args = ['run', ...process.argv.slice(3)];
  return runAgent(flags, await launch({ folder, program: packaged, packaged: SKERRY_VERSION, args, env: process.env }));
}
