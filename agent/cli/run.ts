import type { Command } from 'commander';
import { systemClock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { keepNativePartsBelow } from '#shared/kernel/native-parts.js';
import { connectServiceManager } from '#shared/kernel/service-manager.js';
import { EXIT } from '#shared/terminal/run-cli.js';
import { type AgentSettingKey, settingEntries } from '../config.js';

interface RunFlags extends Readonly<Record<string, string | undefined>> {
  readonly config?: string;
}

export function addRun(program: Command): void {
  const command = program
    .command('run')
    .description('run the agent in the foreground, until SIGTERM or Ctrl-C')
    .option('--config <file>', 'YAML or JSON file with settings (default: agent.yaml in the data folder, if it is there)');
  for (const [, entry] of settingEntries()) {
    const standard = entry.default === undefined ? '' : `; default ${entry.default}`;
    command.option(`--${entry.flag} <value>`, `${entry.doc} [${entry.env}${standard}]`);
  }
  command
    .addHelpText(
      'after',
      `
A setting is taken from its flag, else from its environment variable, else from the settings file (same words as the
flags, without the dashes), else it has its default. Log lines go to stderr as JSON.`,
    )
    .action(() => runAgent(command.opts<RunFlags>()));
}

async function runAgent(flags: RunFlags): Promise<void> {
  const [{ loadAgentConfig }, { requireIdentity }, { createPinoLogger }, { openAgent }] = await Promise.all([
    import('../config.js'),
    import('../sync/identity.js'),
    import('#shared/terminal/pino-logger.js'),
    import('../app.js'),
  ]);
  const config = await loadAgentConfig({ flags: settingFlags(flags), env: process.env, configFile: flags.config });
  keepNativePartsBelow(config.data);
  const identity = await requireIdentity(config.data);
  const logger = await createPinoLogger({ level: config.logLevel, name: 'skerry-agent' });
  const stop = stopSignal();
  const agent = await openAgent({ config, identity, logger });
  const alive = async (): Promise<void> => void (await agent.status());
  const manager = connectServiceManager({ env: process.env, clock: systemClock, logger, alive });
  try {
    await agent.start();
    manager.ready();
    logger.info({ device: identity.device, ...agent.address }, 'agent runs');
    const failure = await Promise.race([stop, agent.failed]);
    if (failure instanceof SkerryError) throw failure;
    logger.info({ signal: failure }, 'agent ends');
  } finally {
    manager.stopping();
    await agent.close();
    if (agent.stuckThreads() > 0) endByForce();
  }
  process.exitCode = EXIT.ok;
}

function settingFlags(flags: RunFlags): Partial<Record<AgentSettingKey, string>> {
  const given: Partial<Record<AgentSettingKey, string>> = {};
  for (const [key, entry] of settingEntries()) {
    const value = flags[entry.flag.replaceAll(/-([a-z])/g, (_match, letter: string) => letter.toUpperCase())];
    if (value !== undefined) given[key] = value;
  }
  return given;
}

/** Resolves with the name of the first signal that asks the process to end; a second one ends it at once. */
function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        resolve(signal);
        process.once(signal, endByForce);
      });
    }
  });
}

/** `process.exit` waits for threads, and a thread inside the inference runtime may never come back. */
function endByForce(): void {
  process.kill(process.pid, 'SIGKILL');
}
