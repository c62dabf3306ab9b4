import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

// Run by memory.ts in a process of its own, started as an agent is. Brings up one part of an agent after the other and prints
// what the process holds after each; hence everything is imported where its step begins.

export interface Step {
  readonly part: string;
  /** MiB in all; of it memory of the process's own, and pages of the executable and its libraries. */
  readonly resident: number;
  readonly own: number;
  readonly file: number;
}

const PREDICTIONS = 2_800;
const steps: Step[] = [];

async function measured(part: string): Promise<void> {
  await wait(300);
  const text = await readFile('/proc/self/status', 'utf8');
  const of = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) / 1024;
  steps.push({ part, resident: of('VmRSS'), own: of('RssAnon'), file: of('RssFile') });
}

const folder = await mkdtemp(path.join(tmpdir(), 'skerry-memory-'));
await measured('Node.js');
await Promise.all([import('#agent/cli/program.js'), import('#agent/app.js'), import('pino')]);
await measured("the agent's own modules, with zod, commander and pino");
await import('#shared/trust/metadata.js');
await import('mqtt');
await measured('MQTT client and the models of TUF metadata');
const { openStore } = await import('../kit/agent-store.js');
const store = await openStore(folder);
await measured('store thread: an isolate, SQLite');
const { createInferenceRuntime } = await import('#agent/inference/runtime.js');
const { memoryKeyValue, MemoryRecorder, writeServable } = await import('../kit/servables.js');
const { SILERO, sileroBytes, sileroInputs, sileroSample } = await import('../kit/silero.js');
const { silentLogger } = await import('#shared/kernel/logger.js');
const runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder: new MemoryRecorder(), logger: silentLogger });
await runtime.start();
await runtime.describe();
await measured('inference thread: an isolate, the ONNX Runtime library and its tables of operators');
const inputs = sileroInputs(new Float32Array(576).fill(0.01));
const spec = await writeServable(await sileroBytes(), { ...SILERO, ...sileroSample(inputs) });
await runtime.load(spec);
runtime.route(spec.model, spec.version);
await measured('Silero VAD (2.3 MB): its session');
for (let i = 0; i < PREDICTIONS; i += 1) await runtime.infer({ model: spec.model, inputs });
await measured(`${PREDICTIONS.toLocaleString('en')} predictions: optimized code, buffers on their way`);
await import('tuf-js');
await measured('TUF library, once metadata changed');
await runtime.close();
await store.close();
await rm(folder, { recursive: true, force: true });
console.log(JSON.stringify(steps));
