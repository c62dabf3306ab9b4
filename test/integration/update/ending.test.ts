import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findRunning } from '#agent/running.js';
import { MIGRATIONS } from '#agent/store/worker/migrations.js';
import { LAUNCHED_VARIABLE, type Launched } from '#agent/update/launched.js';
import { SlotFolder } from '#agent/update/slot-folder.js';
import { pretendEnrolled } from '../../kit/pretend-identity.js';
import { Processes, type RunningProcess } from '../../kit/processes.js';
import { tempFolder } from '../../kit/temp-folder.js';
import { until } from '../../kit/until.js';
import { slots, watched } from '../../unit/update/slots-kit.js';

let processes: Processes;
let data: string;
beforeEach(async () => {
  processes = new Processes();
  data = join(await tempFolder(), 'agent');
  await pretendEnrolled(data, 'mqtt://127.0.0.1:1');
  const watch = { boots: 3, maxBoots: 20, attempt: 0, schema: MIGRATIONS.length };
  await new SlotFolder(data).write(slots({ good: watched('a', 3, { watch }) }));
});
afterEach(() => processes.close());

/** The agent as the release in slot a, as the launcher starts it once it has counted the start. */
function start(...args: readonly string[]): RunningProcess {
  const launched: Launched = { launcher: '/bin/false', packaged: '0.1.0', natives: '', schema: MIGRATIONS.length, runs: 'a', notes: [] };
  return processes.start('skerry-agent', ['run', '--data', data, ...args], {
    logFile: join(data, 'log'),
    env: { [LAUNCHED_VARIABLE]: JSON.stringify(launched) },
  });
}

const isUp = (running: RunningProcess): Promise<unknown> =>
  until('the agent to run', async () => running.alive && (await findRunning(data))?.pid === running.pid);
const boots = async (): Promise<number | undefined> => (await new SlotFolder(data).read())?.good?.watch?.boots;

describe('a start of a good release', () => {
  it('does not count when the agent was asked to end', async () => {
    const running = start('--http-port', '0');
    await isUp(running);
    expect(await running.stop()).toBe(0);
    expect(await boots()).toBe(2);
  });

  it('counts when the agent was killed, and when it cannot do its work', async () => {
    const running = start('--http-port', '0');
    await isUp(running);
    await running.kill();
    expect(await boots()).toBe(3);
    const taken = createServer();
    try {
      const port = await new Promise<number>((resolve) => {
        taken.listen(0, '127.0.0.1', () => {
          const address = taken.address();
          resolve(typeof address === 'object' && address !== null ? address.port : 0);
        });
      });
      const failing = start('--http-port', `${port}`);
      await until('the agent to give up', () => !failing.alive);
    } finally {
      taken.close();
    }
    expect(await boots()).toBe(3);
  });

  it('counts no more once it ran for the bake time, with no hub in sight', async () => {
    const running = start('--http-port', '0', '--update-bake', '1s');
    await isUp(running);
    await until('the count to be taken back', async () => (await boots()) === 0);
    expect(await running.stop()).toBe(0);
    expect(await boots()).toBe(0);
  });
});
