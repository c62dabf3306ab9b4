import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createInferenceRuntime } from '#agent/inference/runtime.js';
import { OrtSession, loadOrt } from '#agent/inference/instances/ort-session.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { MemoryRecorder, memoryKeyValue, writeServable } from '../../kit/servables.js';
import { SILERO, sileroBytes, sileroInputs } from '../../kit/silero.js';

// A Vulkan device in software (test/install-system.sh): the runtime's webgpu provider runs on it without a GPU, and
// gives other numbers than the CPU for this model. Just the accelerator that placement must not choose (R6).
const ICD = process.env['VK_ICD_FILENAMES'] ?? '/usr/local/lib/skerry-test/swiftshader/vk_swiftshader_icd.json';

test('a GPU that gives wrong numbers is measured, refused and remembered', async (context) => {
  context.skip(!existsSync(ICD), `no Vulkan device: ${ICD} is not there (test/install-system.sh)`);
  process.env['VK_ICD_FILENAMES'] = ICD;
  const random = Float32Array.from({ length: 512 }, (_, index) => Math.sin(index / 3) * 0.3);
  const inputs = sileroInputs(
    random,
    Float32Array.from({ length: 256 }, (_, index) => Math.cos(index) * 0.5),
  );
  const signature = { ...SILERO, providers: ['webgpu', 'cpu'] };
  const bytes = await sileroBytes();
  const bare = await writeServable(bytes, { ...signature, samples: [] });
  const session = await OrtSession.open(await loadOrt(), bare.variants[0]?.file ?? '', 'cpu', 1);
  const outputs = await session.run(inputs, undefined);
  await session.close();

  const store = memoryKeyValue();
  const runtime = createInferenceRuntime({ store, recorder: new MemoryRecorder(), logger: silentLogger });
  const status = await runtime.load(
    await writeServable(bytes, { ...signature, samples: [{ inputs, outputs }], tolerance: { absolute: 1e-3, relative: 1e-3 } }),
  );
  await runtime.close();
  expect(status.provider).toBe('cpu');
  expect(store.entries.get('inference.placement')).toMatch(/"kind":"wrong"/);
});
