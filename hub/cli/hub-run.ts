import type { Command } from 'commander';
import { systemClock } from '#shared/kernel/clock.js';
import { type Millis, SAME_WISH } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { keepNativePartsBelow } from '#shared/kernel/native-parts.js';
import { packagedProgram } from '#shared/kernel/packaged-program.js';
import { connectServiceManager } from '#shared/kernel/service-manager.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { type Output, paint, printJson, printLine, printNote } from '#shared/terminal/output.js';
import type { Hub } from '../app.js';
import { type HubSettingKey, settingEntries } from '../config.js';
import { type CliDeps, type CommonFlags, hubCommand, openHubCommand } from './deps.js';
import { registerHubMoveCommands } from './hub-move.js';

type RunFlags = Readonly<Record<string, string | boolean | undefined>>;

/** Adds `skerry hub [run]`, whose options are the settings table, and `skerry hub move|addresses`. */
export function registerHubCommands(program: Command, deps: CliDeps): void {
  const hub = program.command('hub').description('Run a hub, with broker, database and storage inside.');
  registerHubMoveCommands(hub, deps);
  const run = hub.command('run', { isDefault: true }).description('Run a hub until it gets SIGTERM or Ctrl-C.');
  run.option(
    '--config <file>',
    'YAML file with settings, named like these options. (SKERRY_HUB_CONFIG; default: hub.yaml in the data folder, if present)',
  );
  for (const [, entry] of settingEntries()) {
    const value = entry.default === undefined ? '' : `; default: ${entry.default}`;
    run.option(`--${entry.flag} <${entry.value}>`, `${entry.doc} (${entry.env}${value})`);
  }
  run
    .option('--json', 'Print the state of the hub as one JSON object once it is ready.')
    .addHelpText(
      'after',
      [
        '\nThe first start creates the data folder, the keys of the hub and an admin token in DATA/admin.token.',
        'DATA/hub.json holds the address of the running hub; commands on the same machine read it.',
        '\nExamples:',
        '  skerry hub',
        '  skerry hub --data ./hub --http-port 0 --mqtt-port 0',
        '  skerry hub --http-host 0.0.0.0 --mqtt-host 0.0.0.0 --tls-cert hub.pem --tls-key hub.key',
        '  skerry hub --mqtt-url mqtts://broker.example --mqtt-username hub --mqtt-password-file ./password',
      ].join('\n'),
    )
    .action(async (flags: RunFlags) => runHub(flags, deps));
  hubCommand(hub, 'clock', 'Show whether the clock of a running hub is credible. A hub with a suspect clock signs nothing.', [
    'skerry hub clock',
    'skerry hub clock --confirm',
  ])
    .option('--confirm', 'Confirm that the clock of the hub is right, so that it signs again.')
    .action((flags: ClockFlags) => showClock(flags, deps));
}

interface ClockFlags extends CommonFlags {
  readonly confirm?: boolean;
}

async function showClock(flags: ClockFlags, deps: CliDeps): Promise<void> {
  const { out, hub } = await openHubCommand(deps, flags);
  const { clockStatusSchema } = await import('../clock/clock-view.js');
  const path = '/api/v1/hub/clock';
  const clock = flags.confirm === true ? await hub.post(clockStatusSchema, `${path}/confirm`, {}) : await hub.get(clockStatusSchema, path);
  if (out.json) return printJson(out, clock);
  const state = clock.state === 'credible' ? paint(out, 'green', 'credible') : paint(out, 'red', `suspect: ${clock.reason ?? ''}`);
  printLine(out, `clock        ${state}`);
  printLine(out, `now          ${clock.now}`);
  printLine(out, `last signed  ${clock.lastSigned ?? 'nothing yet'}`);
  printLine(out, `devices      ${clock.devices} can vouch for it`);
  if (clock.state === 'suspect') printNote(out, 'Nothing is signed. Set the clock; if it is right: skerry hub clock --confirm');
}

async function runHub(flags: RunFlags, deps: CliDeps): Promise<void> {
  const [{ loadHubConfig }, { createPinoLogger }, { startHub }] = await Promise.all([
    import('../config.js'),
    import('#shared/terminal/pino-logger.js'),
    import('../app.js'),
  ]);
  const out = deps.output(flags['json'] === true);
  const config = await loadHubConfig({
    flags: settingFlags(flags),
    env: deps.env,
    configFile: textFlag(flags['config']) ?? deps.env['SKERRY_HUB_CONFIG'],
  });
  keepNativePartsBelow(config.dataDir);
  const logger = await createPinoLogger({ level: config.logLevel, name: 'skerry-hub' });
  const stop = stopSignal();
  // The database and the broker live on this thread: whoever answers here is alive.
  const alive = (): Promise<string> => Promise.resolve(`release ${SKERRY_VERSION} at ${hub.state.httpUrl}`);
  const manager = connectServiceManager({ env: deps.env, clock: systemClock, logger, alive });
  const hub = await startHub({ config, env: deps.env, logger });
  manager.ready();
  // What an older release of the hub unpacked is used by nobody.
  packagedProgram()?.sweepNatives(new Set());
  // Where nothing can be written, the hub runs all the same.
  out.stdout.on('error', () => undefined);
  announce(out, hub, config.dataDir);
  await stop.asked;
  logger.info({}, 'closing');
  manager.stopping();
  await hub.close();
  stop.release();
}

function announce(out: Output, hub: Hub, dataDir: string): void {
  const { state, newAdminToken } = hub;
  if (out.json) return printJson(out, { ...state, dataDir, newAdminToken: newAdminToken ?? null });
  printLine(out, `${paint(out, 'green', 'ready')}  fleet ${state.fleet}, data in ${dataDir}`);
  printLine(out, `API     ${state.httpUrl}`);
  printLine(out, `broker  ${state.mqttUrl} (${state.broker})`);
  if (newAdminToken !== undefined) {
    printLine(out, `token   a first admin token is in ${newAdminToken}; keep it, or make others with "skerry token create" and delete it`);
  }
}

/** Resolves at the first SIGINT or SIGTERM; asked again, the process ends at once. */
function stopSignal(): { readonly asked: Promise<void>; readonly release: () => void } {
  let onSignal: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    let askedAt: Millis | undefined;
    onSignal = () => {
      const now = systemClock.monotonic();
      if (askedAt !== undefined && now - askedAt > SAME_WISH) process.exit(130);
      askedAt ??= now;
      resolve();
    };
  });
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return { asked, release: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal) };
}

function settingFlags(flags: RunFlags): Partial<Record<HubSettingKey, string>> {
  const values: Partial<Record<HubSettingKey, string>> = {};
  for (const [key, entry] of settingEntries()) {
    const value = textFlag(flags[camelCase(entry.flag)]);
    if (value !== undefined) values[key] = value;
  }
  return values;
}

function textFlag(value: string | boolean | undefined): string | undefined {
  if (typeof value === 'boolean') throw new SkerryError('CLI_USAGE', 'an option is missing its value');
  return value;
}

/** How commander names `--http-port` among the values it parsed. */
function camelCase(flag: string): string {
  return flag.replaceAll(/-([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
