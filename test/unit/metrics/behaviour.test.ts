import { expect, test } from 'vitest';
import { BehaviourBook } from '#agent/metrics/behaviour.js';
import { modelName, versionNumber } from '../../kit/servables.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

test('4: callers that allow too little time, or send more than can wait, say nothing about the version', () => {
  const book = new BehaviourBook(new VirtualClock());
  const [model, version] = [modelName('m'), versionNumber(1)];
  const target = { model, version, variant: 'v', provider: 'cpu' };
  for (const code of ['INFERENCE_TIMEOUT_SHORT', 'INFERENCE_QUEUE_FULL', 'INFERENCE_ABANDONED']) book.failed(target, code);
  expect(book.recent(model, version)).toMatchObject({ predictions: 0, failed: 0, refused: 0 });
  for (const code of ['INFERENCE_TIMEOUT', 'INFERENCE_RUN_FAILED', 'TENSOR_SHAPE']) book.failed(target, code);
  expect(book.recent(model, version)).toMatchObject({ predictions: 2, failed: 2, refused: 1 });
});
