import { readdir, readlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createInferenceRuntime } from '#agent/inference/runtime.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { affineModel } from '../../kit/onnx-models.js';
import { MemoryRecorder, memoryKeyValue, writeServable } from '../../kit/servables.js';

// What turns the runtime's telemetry off by itself must not be what makes this pass.
for (const name of ['CI', 'ORT_DISABLE_TELEMETRY', 'ORT_RUNNING_UNIT_TESTS']) delete process.env[name];

// What a process has open is read from /proc, which only Linux has.
describe.skipIf(process.platform !== 'linux')('ONNX Runtime', () => {
  test('opens nothing outside what it was given: it reports to nobody', async () => {
    const runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder: new MemoryRecorder(), logger: silentLogger });
    await runtime.start();
    try {
      await runtime.load(await writeServable(affineModel()));
      const files = await openFiles();
      expect(files.filter((file) => file.includes('onnxruntime.db') || file.includes('mat-debug'))).toEqual([]);
      expect(files.filter((file) => file.startsWith(path.join(homedir(), '.cache')))).toEqual([]);
    } finally {
      await runtime.close();
    }
  });
});

async function openFiles(): Promise<readonly string[]> {
  const names = await readdir('/proc/self/fd');
  const links = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => undefined)));
  return links.flatMap((link) => link ?? []);
}
