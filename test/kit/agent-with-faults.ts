import { appendFileSync } from 'node:fs';
import { openAgent } from '#agent/app.js';
import { type AgentSettingKey, loadAgentConfig, settingEntries } from '#agent/config.js';
import type { Moment } from '#agent/models/observe.js';
import { requireIdentity } from '#agent/sync/identity.js';
import { createPinoLogger } from '#shared/terminal/pino-logger.js';
import { type Faults, FAULTS_VARIABLE, momentName } from './faults.js';

// `skerry-agent run`, with an observer: the same parts, composed by the same `openAgent`, ending themselves where FAULTS says.

const faults = JSON.parse(process.env[FAULTS_VARIABLE] ?? '{}') as Faults;
const config = await loadAgentConfig({ flags: flagsOf(process.argv.slice(2)), env: process.env });
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

/** `run --name value ...` as the command reads it. */
function flagsOf([, ...args]: readonly string[]): Partial<Record<AgentSettingKey, string>> {
  const keys = new Map(settingEntries().map(([key, entry]) => [`--${entry.flag}`, key]));
  const flags: Partial<Record<AgentSettingKey, string>> = {};
  for (let i = 0; i < args.length; i += 2) {
    const key = keys.get(args[i] ?? '');
    if (key === undefined) throw new Error(`no such setting: ${args[i]}`);
    flags[key] = args[i + 1] ?? '';
  }
  return flags;
}
