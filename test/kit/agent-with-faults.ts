import { appendFileSync } from 'node:fs';
import { openAgent } from '#agent/app.js';
import { loadAgentConfig, settingEntries } from '#agent/config.js';
import type { Moment } from '#agent/models/observe.js';
import { requireIdentity } from '#agent/sync/identity.js';
import { createPinoLogger } from '#shared/terminal/pino-logger.js';
import { type Faults, FAULTS_VARIABLE, momentName } from './faults.js';
import { settingFlags } from './setting-flags.js';

// `skerry-agent run`, with an observer: the same parts, composed by the same `openAgent`, ending themselves where FAULTS says.

const faults = JSON.parse(process.env[FAULTS_VARIABLE] ?? '{}') as Faults;
const config = await loadAgentConfig({ flags: settingFlags(settingEntries(), process.argv.slice(3)), env: process.env });
const identity = await requireIdentity(config.data);
const logger = await createPinoLogger({ level: config.logLevel, name: 'skerry-agent' });
const agent = await openAgent({ config, identity, logger, observe });
process.once('SIGTERM', () => void agent.close().then(() => process.exit(0)));
await agent.start();

function observe(moment: Moment): void {
  const name = momentName(moment);
  if (faults.trace !== undefined) appendFileSync(faults.trace, `${name}\n`);
  // Nothing runs after this line: the signal cannot be caught, and the kernel keeps no promise made here.
  if (faults.killAt === name) process.kill(process.pid, 'SIGKILL');
}
