import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { z } from 'zod';
import { silenceOnnxRuntime } from '#shared/kernel/onnx-environment.js';
import { affineModel } from '../../kit/onnx-models.js';
import { PROJECT_ROOT } from '../../kit/processes.js';
import { sileroBytes } from '../../kit/silero.js';
import { type Figure, machine, plain, printFigures } from '../figure.js';
import { writeFigures } from '../figure-tables.js';
import { type Target, type Way, WAYS } from './ways.js';

const options = new Command('npm run bench:serve --')
  .description('Measures what each dialect and carrier adds to a prediction, beside direct ONNX Runtime and a bare node:http handler.')
  .option('--json <file>', 'write the figures as [{name, value, unit, aim, holds}]')
  .option('--docs', 'write the table of figures into docs/FIGURES.md')
  .option('--quick', 'a tenth of the requests')
  .parse(process.argv)
  .opts<{ json?: string; docs?: boolean; quick?: boolean }>();

/** Arguments of the child's event: the message, and a handle that comes with none. */
const targetMessage = z.tuple([z.object({ http: z.int(), grpc: z.int(), bare: z.int(), socket: z.string() })]).rest(z.unknown());

const ROUNDS = 5;
const PER_ROUND = options.quick === true ? 40 : 400;
const CONNECTIONS = 16;

const figures = await bench();
printFigures(machine(), figures);
if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures, null, 2)}\n`);
if (options.docs === true) {
  const intro =
    `Measured by \`npm run bench:serve -- --docs${options.quick === true ? ' --quick' : ''}\` on ${machine()}. "small" is y = 2x + 1 of four numbers, "vad" is Silero VAD; client and ` +
    `server share the machine. Added: the time of one request at a time, less the median of the same prediction directly in ONNX Runtime.`;
  await writeFigures({ file: 'docs/FIGURES.md', marker: 'serve-figures', intro, figures });
}

async function bench(): Promise<readonly Figure[]> {
  const server = fork(path.join(PROJECT_ROOT, 'dist/test/bench/serve/target.js'));
  try {
    const [target] = targetMessage.parse(await once(server, 'message'));
    const direct = await directRuns();
    const times = new Map(WAYS.map((way) => [way, [] as number[]]));
    // In turns, so that a slow moment of the machine slows all.
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const runs of direct.values()) runs.times.push(...(await timesOf(runs.run)));
      for (const way of WAYS) times.get(way)?.push(...(await oneAtATime(way, target)));
    }
    const found: Figure[] = [...direct].map(([model, runs]) =>
      plain(`${model}: direct ONNX Runtime, p50`, quantile(runs.times, 0.5), 'ms'),
    );
    for (const way of WAYS) {
      const base = quantile(direct.get(way.model)?.times ?? [], 0.5);
      const own = times.get(way) ?? [];
      const name = `${way.model}: ${way.name}`;
      found.push(plain(`${name}, added p50`, quantile(own, 0.5) - base, 'ms'));
      found.push(plain(`${name}, added p99`, quantile(own, 0.99) - base, 'ms'));
      found.push(plain(`${name}, ${CONNECTIONS} connections`, await throughput(way, target), 'requests/s'));
    }
    return found;
  } finally {
    server.disconnect();
    await once(server, 'exit');
  }
}

interface DirectRuns {
  readonly times: number[];
  readonly run: () => Promise<unknown>;
}

async function directRuns(): Promise<ReadonlyMap<Way['model'], DirectRuns>> {
  silenceOnnxRuntime();
  const threads = { intraOpNumThreads: 1, interOpNumThreads: 1 };
  const small = await InferenceSession.create(affineModel(), threads);
  const vad = await InferenceSession.create(await sileroBytes(), threads);
  const x = { x: new Tensor('float32', Float32Array.of(1, 2, 3, 4), [1, 4]) };
  const frame = {
    input: new Tensor('float32', new Float32Array(576).fill(0.01), [1, 576]),
    state: new Tensor('float32', new Float32Array(256), [2, 1, 128]),
    sr: new Tensor('int64', BigInt64Array.of(16_000n), []),
  };
  return new Map([
    ['small', { times: [], run: () => small.run(x) }],
    ['vad', { times: [], run: () => vad.run(frame) }],
  ]);
}

async function timesOf(run: () => Promise<unknown>): Promise<readonly number[]> {
  const times: number[] = [];
  for (let at = 0; at < PER_ROUND; at += 1) {
    const began = performance.now();
    await run();
    times.push(performance.now() - began);
  }
  return times;
}

async function oneAtATime(way: Way, target: Target): Promise<readonly number[]> {
  const asker = await way.open(target);
  try {
    return await timesOf(() => asker.ask());
  } finally {
    asker.close();
  }
}

/** Requests a second over several connections at once. */
async function throughput(way: Way, target: Target): Promise<number> {
  const askers = await Promise.all(Array.from({ length: CONNECTIONS }, () => way.open(target)));
  try {
    const began = performance.now();
    await Promise.all(askers.map((asker) => timesOf(() => asker.ask())));
    return (CONNECTIONS * PER_ROUND * 1000) / (performance.now() - began);
  } finally {
    for (const asker of askers) asker.close();
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
