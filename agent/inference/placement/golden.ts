import { open } from 'node:fs/promises';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { checkTensors } from '#shared/tensor/check.js';
import { compareOutputs } from '#shared/tensor/compare.js';
import { readSafetensors } from '#shared/tensor/safetensors.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import type { OutputTolerances, Tolerance } from '#shared/tensor/tolerance.js';
import type { Recheck, ServableSpec } from '../contract.js';
import type { SampleResult } from '../instances/instance-protocol.js';

const INPUTS = 'inputs/';
const OUTPUTS = 'outputs/';
const DEFAULT_TOLERANCE = { absolute: 1e-3, relative: 1e-3 };

/** A golden sample read and checked against the declared inputs and outputs. */
export interface GoldenSample {
  readonly name: string;
  readonly tolerance: OutputTolerances;
  readonly inputs: NamedTensors;
  readonly expected: NamedTensors;
}

/** Reads one golden sample; `INFERENCE_GOLDEN_INVALID` when it does not hold what the manifest declares. */
export async function readGoldenSample(spec: ServableSpec, sample: ServableSpec['goldenSamples'][number]): Promise<GoldenSample> {
  const what = `golden sample ${sample.name}`;
  try {
    const { tensors } = readSafetensors(await readBounded(sample.file, what), what);
    const inputs = below(tensors, INPUTS);
    const expected = below(tensors, OUTPUTS);
    checkTensors(spec.inputs, inputs);
    checkTensors(spec.outputs, expected, 'output');
    return { name: sample.name, tolerance: sample.tolerance, inputs, expected };
  } catch (cause) {
    const reason = asSkerryError(cause, 'IO_FAILED');
    if (reason.code === 'IO_FAILED' || reason.code === 'DISK_FULL') throw reason;
    throw new SkerryError('INFERENCE_GOLDEN_INVALID', `${what} of ${spec.model}@${spec.version}: ${reason.message}`, { cause });
  }
}

/** Runs every golden sample through `run` and compares; rejects when one could not be run. */
export async function recheckGolden(
  spec: ServableSpec,
  run: (inputs: NamedTensors, outputs: readonly string[]) => Promise<NamedTensors>,
): Promise<Recheck> {
  let wrong = 0;
  let reason: string | undefined;
  for (const { name, file, tolerance } of spec.goldenSamples) {
    const { inputs, expected } = await readGoldenSample(spec, { name, file, tolerance });
    const comparison = compareOutputs(expected, await run(inputs, Object.keys(expected)), tolerance);
    if (comparison.agrees) continue;
    wrong++;
    reason ??= `golden sample ${name}: ${comparison.reason ?? 'its outputs differ'}`;
  }
  return { run: spec.goldenSamples.length, wrong, reason };
}

/** The widest tolerances of the version's golden samples: what its answers may differ by from another version's. */
export function shadowTolerance({ goldenSamples }: Pick<ServableSpec, 'goldenSamples'>): OutputTolerances {
  if (goldenSamples.length === 0) return DEFAULT_TOLERANCE;
  const tolerances = goldenSamples.map(({ tolerance }) => tolerance);
  const own = tolerances.flatMap(({ outputs = [] }) => outputs);
  const outputs = [...new Set(own.map(({ name }) => name))].map((name) => ({ name, ...widest(own.filter((one) => one.name === name)) }));
  const shapeOnly = tolerances.some((tolerance) => tolerance.shapeOnly === true);
  return { ...widest(tolerances), outputs, ...(shapeOnly ? { shapeOnly } : {}) };
}

function widest(tolerances: readonly Tolerance[]): Tolerance {
  return {
    absolute: Math.max(...tolerances.map(({ absolute }) => absolute)),
    relative: Math.max(...tolerances.map(({ relative }) => relative)),
  };
}

/** The error for a sample that did not come out right. */
export function goldenMismatch(spec: ServableSpec, variant: string, provider: string, sample: string, result: SampleResult): SkerryError {
  const { comparison } = result;
  return new SkerryError(
    'INFERENCE_GOLDEN_MISMATCH',
    `${spec.model}@${spec.version} (${variant} on ${provider}) is wrong on golden sample ${sample}: ${comparison.reason ?? 'its outputs differ'}`,
    {
      details: {
        model: spec.model,
        version: spec.version,
        variant,
        provider,
        sample,
        output: result.output,
        mismatches: comparison.mismatches,
        maxError: Number.isFinite(comparison.maxError) ? comparison.maxError : String(comparison.maxError),
        worst: comparison.worst,
      },
    },
  );
}

async function readBounded(file: string, what: string): Promise<Uint8Array> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    if (size > LIMITS.goldenSampleBytes) {
      throw new SkerryError('INPUT_TOO_LARGE', `${what} has ${size} bytes, at most ${LIMITS.goldenSampleBytes} are accepted`);
    }
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

function below(tensors: NamedTensors, prefix: string): NamedTensors {
  return Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  );
}
