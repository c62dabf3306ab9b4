import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { endOrphans } from '#agent/inference/instances/orphans.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { tempFolder } from '../../kit/temp-folder.js';
import { until } from '../../kit/until.js';

/** True while the process is there and not only waits to be reaped. */
function runs(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

test.skipIf(process.platform !== 'linux')(
  '3: a process of a model whose agent was killed is ended by the next one, and no other is',
  async () => {
    const folder = await tempFolder();
    const file = path.join(folder, 'instance-runner.js');
    // Inside the runtime it does not notice anything.
    await writeFile(file, 'for (;;);');
    const pids = ['mine', 'of another agent'].map((home) => {
      const start = `
      const child = require('node:child_process').spawn(process.execPath, ${JSON.stringify([file, home])}, { detached: true, stdio: 'ignore' });
      process.stdout.write(String(child.pid)); child.unref();`;
      return Number(spawnSync(process.execPath, ['-e', start], { encoding: 'utf8' }).stdout);
    });
    onTestFinished(() => pids.filter(runs).forEach((pid) => process.kill(pid, 'SIGKILL')));
    await until('both to run', () => pids.every((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('instance-runner')));
    endOrphans('mine', silentLogger);
    await until('the orphan to be gone', () => !runs(pids[0]!));
    expect(runs(pids[1]!)).toBe(true);
  },
);
