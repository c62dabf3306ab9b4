import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { hubStateSchema } from '#hub/hub-state.js';
import { type CommandResult, Processes, type RunningProcess } from './processes.js';
import { until } from './until.js';

/** A hub process, and the commands a person types beside it who has a home of their own. */
export interface HubDesk {
  /** Home of that person; the hub has its data in `hub`. */
  readonly folder: string;
  readonly hub: RunningProcess;
  /** Runs `skerry ...` as an administrator of the hub, or with these settings in place of those. */
  readonly skerry: (...args: readonly string[]) => Promise<CommandResult>;
  readonly skerryWith: (env: NodeJS.ProcessEnv, ...args: readonly string[]) => Promise<CommandResult>;
}

/** Starts a hub for the tests of the calling file, and ends it after them. */
export function hubDesk(): HubDesk {
  const processes = new Processes();
  let folder = '';
  let hub: RunningProcess | undefined;
  let env: NodeJS.ProcessEnv = {};
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'skerry-desk-'));
    const args = ['hub', '--data', join(folder, 'hub'), '--http-port', '0', '--mqtt-port', '0'];
    hub = processes.start('skerry', args, { logFile: join(folder, 'hub.log') });
    const state = await until('the hub', async () =>
      hubStateSchema.parse(JSON.parse(await readFile(join(folder, 'hub', 'hub.json'), 'utf8'))),
    );
    const token = (await readFile(join(folder, 'hub', 'admin.token'), 'utf8')).trim();
    env = { HOME: folder, XDG_CONFIG_HOME: '', XDG_DATA_HOME: '', SKERRY_HUB: state.httpUrl, SKERRY_TOKEN: token };
  });
  afterAll(async () => {
    await processes.close();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    get folder() {
      return folder;
    },
    get hub() {
      if (hub === undefined) throw new Error('the hub is not started yet');
      return hub;
    },
    skerry: (...args) => processes.run('skerry', args, { env }),
    skerryWith: (other, ...args) => processes.run('skerry', args, { env: { ...env, ...other } }),
  };
}
