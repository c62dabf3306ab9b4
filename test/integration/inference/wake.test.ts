import { expect, test } from 'vitest';
import { loadOrt, wakeOrt } from '#agent/inference/instances/ort-session.js';

test('what wakes ONNX Runtime before the first model is a model it takes', async () => {
  await expect(wakeOrt(await loadOrt())).resolves.toBeUndefined();
});
