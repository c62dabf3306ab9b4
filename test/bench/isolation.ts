import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import type { CarrierKind } from '#agent/inference/instances/carrier.js';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { silentLogger } from '#shared/kernel/logger.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import { identityModel } from '../kit/onnx-models.js';
import { PROJECT_ROOT } from '../kit/processes.js';
import { fp32, MemoryRecorder, memoryKeyValue, modelName, versionNumber, writeServable } from '../kit/servables.js';
import { SILERO, sileroBytes, sileroInputs, sileroSample } from '../kit/silero.js';
import { until } from '../kit/until.js';
import { machine, median } from './figure.js';

const PAGE = path.join(PROJECT_ROOT, 'docs/OPERATIONS.md');
const BEGIN = '<!-- isolation:begin -->';
const END = '<!-- isolation:end -->';
const ROUNDS = 5;
const PER_ROUND = 300;
const MiB = 1024 * 1024;
const CARRIERS = ['thread', 'process'] as const;

const options = new Command('npm run bench:isolation --')
  .description('Measures what a process of its own costs a model, against a thread of the agent (Linux).')
  .option('--docs', 'write the table into docs/OPERATIONS.md')
  .parse(process.argv)
  .opts<{ docs?: boolean }>();

interface Measured {
  readonly small: number[];
  readonly large: number[];
  readonly starts: number[];
  readonly recoveries: number[];
  resident: number;
  own: number;
}

const measured: Record<CarrierKind, Measured> = { thread: nothing(), process: nothing() };
for (const carrier of CARRIERS) await measureMemory(carrier);
const runtimes = { thread: await serving('thread'), process: await serving('process') };
// In turns, so that a slow moment of the machine slows both.
for (let round = 0; round < ROUNDS; round += 1) {
  for (const carrier of CARRIERS) {
    measured[carrier].small.push(...(await times(runtimes[carrier], 'vad', sileroInputs(new Float32Array(512)))));
    measured[carrier].large.push(...(await times(runtimes[carrier], 'large', { x: fp32([65_536, 4], new Float32Array(262_144)) })));
  }
}
for (let round = 0; round < ROUNDS; round += 1) measured.process.recoveries.push(await recovery(runtimes.process));
await Promise.all(CARRIERS.map((carrier) => runtimes[carrier].close()));

const rows: readonly (readonly [string, (one: Measured) => string])[] = [
  ['a prediction of Silero VAD, median', ({ small }) => `${median(small).toFixed(2)} ms`],
  ['the same, 99th percentile', ({ small }) => `${quantile(small, 0.99).toFixed(2)} ms`],
  ['1 MiB in and 1 MiB out, median', ({ large }) => `${median(large).toFixed(2)} ms`],
  ['the same, 99th percentile', ({ large }) => `${quantile(large, 0.99).toFixed(2)} ms`],
  ['memory of one more Silero VAD, shared pages included', ({ resident }) => `${resident.toFixed(0)} MiB`],
  ['the same, of its own', ({ own }) => `${own.toFixed(0)} MiB`],
  ['load to available, median', ({ starts }) => `${median(starts).toFixed(0)} ms`],
  [
    'from a crash to the next answer, median',
    ({ recoveries }) => (recoveries.length === 0 ? 'the agent starts again' : `${median(recoveries).toFixed(0)} ms`),
  ],
];
const table = [
  `Measured by \`npm run bench:isolation -- --docs\` on ${machine()}; ${ROUNDS} rounds of ${PER_ROUND} predictions in turns.`,
  '',
  '| | thread | process |',
  '|---|---|---|',
  ...rows.map(([name, of]) => `| ${name} | ${of(measured.thread)} | ${of(measured.process)} |`),
].join('\n');
console.log(table);
if (options.docs === true) writePage(table);

function nothing(): Measured {
  return { small: [], large: [], starts: [], recoveries: [], resident: 0, own: 0 };
}

async function runtimeOf(isolation: CarrierKind): Promise<InferenceRuntime> {
  const runtime = createInferenceRuntime({
    store: memoryKeyValue(),
    recorder: new MemoryRecorder(),
    logger: silentLogger,
    settings: { isolation },
  });
  await runtime.start();
  return runtime;
}

async function load(runtime: InferenceRuntime, name: string): Promise<number> {
  const inputs = sileroInputs(new Float32Array(512));
  const spec = await writeServable(await sileroBytes(), { ...SILERO, ...sileroSample(inputs), model: name });
  const began = performance.now();
  await runtime.load(spec);
  runtime.route(spec.model, spec.version);
  return performance.now() - began;
}

async function serving(carrier: CarrierKind): Promise<InferenceRuntime> {
  const runtime = await runtimeOf(carrier);
  await load(runtime, 'vad');
  const x = fp32([1, 4], [1, 2, 3, 4]);
  const spec = await writeServable(identityModel(), { model: 'large', samples: [{ inputs: { x }, outputs: { y: x } }] });
  await runtime.load(spec);
  runtime.route(spec.model, spec.version);
  return runtime;
}

/** Memory of this process and its runners, before and after the second and third model: the first one pays for the runtime. */
async function measureMemory(carrier: CarrierKind): Promise<void> {
  const runtime = await runtimeOf(carrier);
  measured[carrier].starts.push(await load(runtime, 'one'));
  const before = memory();
  for (const name of ['two', 'three']) measured[carrier].starts.push(await load(runtime, name));
  const after = memory();
  measured[carrier].resident = (after.resident - before.resident) / 2;
  measured[carrier].own = (after.own - before.own) / 2;
  await runtime.close();
}

async function times(runtime: InferenceRuntime, name: string, inputs: NamedTensors): Promise<number[]> {
  const taken: number[] = [];
  for (let i = 0; i < PER_ROUND; i += 1) {
    const began = performance.now();
    await runtime.infer({ model: modelName(name), inputs });
    taken.push(performance.now() - began);
  }
  return taken;
}

/** Ends the process of a model as a fault of the processor would; how long the next prediction then takes. */
async function recovery(runtime: InferenceRuntime): Promise<number> {
  const status = () => runtime.list().find(({ model }) => model === modelName('vad'));
  const [pid] = children();
  if (pid === undefined) return Number.NaN;
  const began = performance.now();
  process.kill(pid, 'SIGSEGV');
  await until('the process to be gone', () => !children().includes(pid), { everyMs: 1 });
  await runtime.infer({
    model: modelName('vad'),
    version: versionNumber(status()?.version ?? 1),
    inputs: sileroInputs(new Float32Array(512)),
  });
  return performance.now() - began;
}

function children(): readonly number[] {
  return readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}

function memory(): { readonly resident: number; readonly own: number } {
  const sums = { resident: 0, own: 0 };
  for (const pid of [process.pid, ...children()]) {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const kib = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(rollup)?.[1] ?? 0);
    sums.resident += (kib('Rss') * 1024) / MiB;
    sums.own += ((kib('Private_Dirty') + kib('Private_Clean')) * 1024) / MiB;
  }
  return sums;
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

function writePage(text: string): void {
  const page = readFileSync(PAGE, 'utf8');
  const from = page.indexOf(BEGIN);
  const to = page.indexOf(END);
  if (from === -1 || to < from) throw new Error(`${PAGE} has no place for the table (${BEGIN} ... ${END})`);
  writeFileSync(PAGE, `${page.slice(0, from)}${BEGIN}\n${text}\n${page.slice(to)}`);
}
