import { startHub } from '#hub/app.js';
import { loadHubConfig, settingEntries } from '#hub/config.js';
import type { WrittenAct } from '#hub/rollouts/adapters/observed-store.js';
import { createPinoLogger } from '#shared/terminal/pino-logger.js';
import { writtenName, type Faults, FAULTS_VARIABLE } from './faults.js';
import { settingFlags } from './setting-flags.js';

// `skerry hub run`, with an observer: the same parts, composed by the same `startHub`, ending themselves where FAULTS says.

const faults = JSON.parse(process.env[FAULTS_VARIABLE] ?? '{}') as Faults;
const config = await loadHubConfig({ flags: settingFlags(settingEntries(), process.argv.slice(4)), env: process.env });
const logger = await createPinoLogger({ level: config.logLevel, name: 'skerry-hub' });
const hub = await startHub({ config, env: process.env, logger, observe });
process.once('SIGTERM', () => void hub.close().then(() => process.exit(0)));

function observe(act: WrittenAct): void {
  if (faults.killAt === writtenName(act)) process.kill(process.pid, 'SIGKILL');
}
