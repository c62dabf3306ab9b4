import { silentLogger } from '#shared/kernel/logger.js';
import type { RuntimeDescription } from '../inference/instances/instance-protocol.js';

/** Asks the inference runtime, in a worker of its own that ends again, what it is and offers here. Rejects when it does not load. */
export async function probeRuntime(): Promise<RuntimeDescription> {
  const [{ createInferenceRuntime }, { MetricsRecorder }] = await Promise.all([
    import('../inference/runtime.js'),
    import('../metrics/recorder.js'),
  ]);
  const forgetful = { get: () => Promise.resolve(undefined), set: () => Promise.resolve() };
  const runtime = createInferenceRuntime({ store: forgetful, recorder: new MetricsRecorder(), logger: silentLogger });
  try {
    return await runtime.describe();
  } finally {
    await runtime.close();
  }
}
