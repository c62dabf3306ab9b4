import { expect, test } from 'vitest';
import { CrashMemory } from '#agent/inference/faults/crash-memory.js';
import { digestOfInputs } from '#agent/inference/faults/input-digest.js';
import { hours, minutes } from '#shared/kernel/time.js';
import { silentLogger } from '#shared/kernel/logger.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import { coded } from '../../kit/coded.js';
import { fp32, memoryKeyValue, modelName, versionNumber } from '../../kit/servables.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const of = { model: modelName('m'), version: versionNumber(1) };

test('5: after a refusal ended no request costs a digest any more', async () => {
  const clock = new VirtualClock();
  const memory = await CrashMemory.open(memoryKeyValue(), clock, silentLogger);
  const deadly = { x: fp32([1], [7]) };
  await memory.blame({ ...of, digest: digestOfInputs(deadly), certainty: 'seen', why: 'SIGFPE' });
  let reads = 0;
  const { datatype, shape, data } = fp32([1], [1]);
  const harmless: NamedTensors = {
    x: {
      datatype,
      shape,
      get data() {
        reads++;
        return data;
      },
    },
  };
  memory.admit({ ...of, version: versionNumber(2) }, harmless);
  expect(reads, 'another version').toBe(0);
  memory.admit(of, harmless);
  expect(reads, 'in force').toBeGreaterThan(0);
  expect(() => memory.admit(of, deadly)).toThrow(coded('INFERENCE_CRASHED_BEFORE'));
  await clock.advance(hours(1) + minutes(1));
  reads = 0;
  memory.admit(of, harmless);
  memory.admit(of, deadly);
  expect(reads, 'over').toBe(0);
});
