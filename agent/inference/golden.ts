import { open } from 'node:fs/promises';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { checkTensors } from '#shared/tensor/check.js';
import { readSafetensors } from '#shared/tensor/safetensors.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import type { ServableSpec } from './contract.js';
import type { SampleResult } from './instance-protocol.js';

const INPUTS = 'inputs/';
const OUTPUTS = 'outputs/';

/** A golden sample read and checked against the declared inputs and outputs. */
export interface GoldenSample {
  readonly name: string;
  readonly tolerance: { readonly absolute: number; readonly relative: number };
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
