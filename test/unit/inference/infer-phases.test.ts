import { expect, test } from 'vitest';
import { inferPhases } from '#agent/inference/infer-phases.js';
import { ServableTable } from '#agent/inference/servables/servable-table.js';
import { ShadowRunner } from '#agent/inference/servables/shadow.js';
import { DEFAULT_INFERENCE_SETTINGS } from '#agent/inference/settings.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { coded } from '../../kit/coded.js';
import { MemoryRecorder, modelName } from '../../kit/servables.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

test('a prediction is a row of phases, and one that no servable takes is counted by its error alone', async () => {
  const recorder = new MemoryRecorder();
  const clock = new VirtualClock();
  const prediction = inferPhases({
    table: new ServableTable({ random: () => 0, device: 'd1' }),
    shadows: new ShadowRunner(recorder, clock, silentLogger),
    recorder,
    settings: DEFAULT_INFERENCE_SETTINGS,
    clock,
  });
  expect(prediction.names).toEqual(['route', 'record', 'judge outputs', 'check', 'shadow', 'queue and run']);
  const asked = prediction.run({ request: { model: modelName('none'), inputs: {} }, began: clock.monotonic() });
  await expect(asked).rejects.toEqual(coded('INFERENCE_MODEL_UNKNOWN'));
  expect(recorder.failures).toEqual([{ target: undefined, code: 'INFERENCE_MODEL_UNKNOWN' }]);
});
