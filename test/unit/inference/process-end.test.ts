import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import type { CarrierEnd } from '#agent/inference/instances/carrier.js';
import { endOf } from '#agent/inference/decide/instance-end.js';
import { carryBy } from '#agent/inference/instances/process-carrier.js';
import { runnerOptions } from '#shared/kernel/runner-options.js';
import { coded } from '../../kit/coded.js';

function endOfProcess(script: string): Promise<CarrierEnd> {
  const child = spawn(process.execPath, ['--max-old-space-size=16', '-e', script], runnerOptions());
  return new Promise((resolve) => carryBy(child).listen(() => undefined, resolve));
}

test('7: a process whose JavaScript heap is full is told from one that native code crashed', async () => {
  const full = await endOfProcess('const all = []; for (;;) all.push(new Array(1000).fill(0.5));');
  expect(full).toMatchObject({ heapFull: true });
  expect(endOf(full, 'run').reason).toEqual(
    coded('INFERENCE_INSTANCE_DIED', 'no room left in its JavaScript heap while it ran the request'),
  );
  const aborted = await endOfProcess('process.abort();');
  expect(aborted).not.toHaveProperty('heapFull');
  expect(endOf(aborted, 'run').reason).toEqual(coded('INFERENCE_CRASHED', 'SIGABRT'));
});
