import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openStandalone } from '#agent/standalone-app.js';
import { folderSource } from '#agent/standalone/source.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { sharedModelFolder } from '../../kit/model-folder.js';
import { affineModel } from '../../kit/onnx-models.js';
import { fp32, modelName, numbersOf } from '../../kit/servables.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

test('a file that was overwritten does not answer under the version that was unloaded for idleness', async () => {
  const clock = new VirtualClock();
  const root = await sharedModelFolder({ 'm/1/model.onnx': affineModel({ scale: 1, bias: 1 }) });
  const standalone = await openStandalone({
    source: folderSource(root),
    inference: { idleUnload: 1000 },
    serve: { tcp: { host: '127.0.0.1', port: 0 } },
    logger: silentLogger,
    clock,
  });
  onTestFinished(() => standalone.close());
  await standalone.start();
  const ask = () => standalone.runtime.infer({ model: modelName('m'), inputs: { x: fp32([1, 4], [0, 0, 0, 0]) } });
  await clock.advance(2000);
  expect(standalone.runtime.list()).toMatchObject([{ asleep: true }]);
  expect(numbersOf((await ask()).outputs['y'])[0]).toBe(1);
  await clock.advance(2000);
  await writeFile(join(root, 'm/1/model.onnx'), affineModel({ scale: 1, bias: 200 }));
  await expect(ask()).rejects.toThrow('model.onnx is no longer the file that was loaded');
});
