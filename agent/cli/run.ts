import type { Command } from 'commander';
import { kindRow } from '#shared/bundle/kinds.js';
import { foregroundClock, systemClock } from '#shared/kernel/clock.js';
import { asSkerryError, hasCode, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { keepNativePartsBelow } from '#shared/kernel/native-parts.js';
import { prepareMemory, releaseMemoryOnceSettled } from '#shared/kernel/release-memory.js';
import { connectServiceManager } from '#shared/kernel/service-manager.js';
import { EXIT } from '#shared/terminal/run-cli.js';
import { type AgentSettingKey, loadAgentConfig, settingEntries } from '../config.js';
import type { Agent, AgentStatus } from '../contract.js';
import { type Launched, readLaunched } from '../update/launched.js';
import { endByForce, listenForSignals } from './end-signals.js';
import { readSettingFlags } from './setting-flags.js';

/** Everything that must survive is on the disk already; what does not end by then is ended. */
const CLOSE_DEADLINE_MS = 20_000;
/** As in sysexits.h: start it again. */
export const EX_TEMPFAIL = 75;

export interface RunFlags extends Readonly<Record<string, string | undefined>> {
  readonly config?: string;
}

export function addRun(program: Command): void {
  const command = program.command('run').description('Run the agent in the foreground until SIGTERM or Ctrl-C.');
  command.addHelpText(
    'after',
    '\nExamples:\n  skerry-agent run --data ./device\n  skerry-agent run --data ./device --http-port 0 --bake 5m',
  );
  withSettings(command, (flags) => runAgent(flags, readLaunched(process.env)));
}

/** Adds the settings of an agent to a command that runs one. */
export function withSettings(command: Command, action: (flags: RunFlags) => Promise<void>): void {
  command.option('--config <file>', 'YAML or JSON file with settings. (default: agent.yaml in the data folder, if present)');
  for (const [, entry] of settingEntries()) {
    const standard = entry.default === undefined ? '' : `; default: ${entry.default}`;
    command.option(`--${entry.flag} <${entry.value}>`, `${entry.doc} (${entry.env}${standard})`);
  }
  command
    .addHelpText(
      'after',
      `
A setting comes from its flag, else from its environment variable, else from the settings file (named like the flags,
without the leading dashes), else from its default. The agent logs to stderr, as JSON lines.`,
    )
    .action(() => action(command.opts<RunFlags>()));
}

/** Runs the agent until it is asked to end, fails, or makes room for another release; `launched` when the launcher started it. */
export async function runAgent(flags: RunFlags, launched: Launched | undefined): Promise<void> {
  // From the first moment: a start that is asked to end says nothing against the release (agent/update/updater.ts).
  const signals = listenForSignals();
  try {
    await untilSignal(flags, launched, signals.first);
  } finally {
    signals.release();
  }
}

async function untilSignal(flags: RunFlags, launched: Launched | undefined, signal: Promise<string>): Promise<void> {
  const config = await loadAgentConfig({ flags: settingFlags(flags), env: process.env, configFile: flags.config });
  const { requireIdentity } = await import('../sync/identity.js');
  const identity = await requireIdentity(config.data);
  keepNativePartsBelow(config.data);
  prepareMemory();
  const { startThreads } = await import('../assembly/threads.js');
  const threads = startThreads(config, systemClock);
  try {
    // While the threads come up.
    const [{ createPinoLogger }, { openAgent }] = await Promise.all([import('#shared/terminal/pino-logger.js'), import('../app.js')]);
    const logger = await createPinoLogger({ level: config.logLevel, name: 'skerry-agent' });
    const opening = openAgent({ config, identity, logger, threads, ...(launched === undefined ? {} : { launched }) });
    const agent = await opening.catch(async (cause: unknown) => {
      if (launched !== undefined && hasCode(cause, 'STORE_LOCKED')) await takeBackStart(config.data, launched.runs);
      throw cause;
    });
    const makesRoom = await runUntil(agent, signal, logger);
    if (makesRoom && launched !== undefined) return await becomeLauncher(launched, logger);
  } finally {
    await threads.close();
  }
  process.exitCode = EXIT.ok;
}

/** Another agent works in the folder. That says nothing against this release, so its start no longer counts. */
async function takeBackStart(data: string, runs: Launched['runs']): Promise<void> {
  const [{ SlotFolder }, { uncount }] = await Promise.all([
    import('../update/slot-folder.js'),
    import('#agent/update/decide/slot-changes.js'),
  ]);
  const folder = new SlotFolder(data);
  const slots = await folder.read().catch(() => undefined);
  if (slots === undefined) return;
  const uncounted = uncount(slots, runs);
  if (uncounted !== slots) await folder.write(uncounted).catch(() => undefined);
}

/** True when the agent ended to make room for another release of itself. */
async function runUntil(agent: Agent, signal: Promise<string>, logger: Logger): Promise<boolean> {
  const alive = async (): Promise<string> => inOneLine(await agent.status());
  const manager = connectServiceManager({ env: process.env, clock: systemClock, logger, alive });
  const force = (): void => {
    agent.abandonAll();
    endByForce();
  };
  let cancelForce: () => void = () => undefined;
  agent.onEnding(() => {
    cancelForce = foregroundClock.schedule(CLOSE_DEADLINE_MS, force);
  });
  try {
    await agent.start();
    manager.ready();
    releaseMemoryOnceSettled();
    logger.info({ device: agent.device, ...agent.address }, 'agent started');
    const ending = await Promise.race([signal, agent.failed, agent.makesRoom]);
    if (ending instanceof SkerryError) throw ending;
    const makesRoom = typeof ending !== 'string';
    if (makesRoom) manager.handingOver();
    logger.info(makesRoom ? { ...ending } : { signal: ending }, makesRoom ? 'agent stops for another release' : 'agent stops');
    return makesRoom;
  } finally {
    manager.stopping();
    await agent.close().finally(() => {
      cancelForce();
      if (agent.stuckThreads() > 0) endByForce();
    });
  }
}

/** For `systemctl status`. */
function inOneLine({ version, link, reported }: AgentStatus): string {
  const served = reported.models.filter(({ model, serving }) => kindRow(model).predicts && serving !== null);
  return `release ${version}, ${link.kind}; serves ${served.map(({ model, serving }) => `${model}@${serving}`).join(', ') || 'no model'}`;
}

/** The process stays, so that whoever watches it need not notice; where it cannot, they start the launcher again. */
async function becomeLauncher({ launcher }: Launched, logger: Logger): Promise<void> {
  const { packagedProgram } = await import('#shared/kernel/packaged-program.js');
  try {
    packagedProgram()?.replaceBy(launcher, ['launch', ...process.argv.slice(3)]);
  } catch (cause) {
    logger.error({ code: asSkerryError(cause).code, reason: asSkerryError(cause).message }, 'the launcher could not be started');
  }
  process.exitCode = EX_TEMPFAIL;
}

/** The settings given on the command line. */
export function settingFlags(flags: RunFlags): Partial<Record<AgentSettingKey, string>> {
  return readSettingFlags(flags, settingEntries());
}
