import { encodeGolden } from '#shared/bundle/golden.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { compareOutputs } from '#shared/tensor/compare.js';
import { formatShape } from '#shared/tensor/shape.js';
import { notFiniteIn } from '#shared/tensor/not-finite.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import { EXACT, type OutputTolerances } from '#shared/tensor/tolerance.js';
import { checkOutputs, type GoldenCase } from './golden-inputs.js';
import { type LoadedModel, messageOf } from './runtime.js';

/** A golden sample with its file's bytes. */
export interface RecordedSample extends GoldenCase {
  readonly tolerance: OutputTolerances;
  readonly bytes: Uint8Array;
}

/**
 * Runs a case twice on the reference variant and records its outputs, or the outputs given when the model agrees with them.
 * `GOLDEN_INPUTS_NEEDED` when the model rejects generated inputs, `GOLDEN_INPUTS_INVALID` for given ones,
 * `GOLDEN_NOT_DETERMINISTIC` when two runs differ, `VARIANT_GOLDEN_MISMATCH` when given outputs are not what the model gives.
 */
export async function recordSample(
  model: LoadedModel,
  golden: GoldenCase,
  generated: boolean,
  tolerance: OutputTolerances,
): Promise<RecordedSample> {
  const outputs = await firstRun(model, golden, generated);
  checkOutputs(model.outputs, outputs);
  const same: OutputTolerances = tolerance.shapeOnly === true ? { ...EXACT, shapeOnly: true } : EXACT;
  const again = compareOutputs(outputs, await model.run(golden.inputs), same);
  if (!again.agrees) throw notDeterministic(golden.name, again.reason ?? '', tolerance);
  const given = Object.keys(golden.outputs).length > 0;
  if (given) {
    const comparison = compareOutputs(golden.outputs, outputs, tolerance);
    if (!comparison.agrees) {
      throw new SkerryError(
        'VARIANT_GOLDEN_MISMATCH',
        `the model does not give the outputs that ${golden.name} expects: ${comparison.reason ?? ''}`,
      );
    }
  }
  const sample = { name: golden.name, inputs: golden.inputs, outputs: given ? golden.outputs : outputs };
  const bytes = encodeGolden(sample);
  if (bytes.byteLength > LIMITS.goldenSampleBytes) {
    throw new SkerryError(
      'GOLDEN_INPUTS_INVALID',
      `golden sample ${golden.name} takes ${bytes.byteLength} bytes, at most ${LIMITS.goldenSampleBytes} are accepted`,
    );
  }
  return { ...sample, tolerance, bytes };
}

function notDeterministic(name: string, reason: string, { shapeOnly }: OutputTolerances): SkerryError {
  const remedy =
    shapeOnly === true ? 'even types and shapes differ' : 'if the model is meant to be random, publish it with --golden-shape-only';
  return new SkerryError('GOLDEN_NOT_DETERMINISTIC', `two runs on the golden inputs ${name} differ: ${reason}; ${remedy}`);
}

async function firstRun(model: LoadedModel, golden: GoldenCase, generated: boolean): Promise<NamedTensors> {
  try {
    return await model.run(golden.inputs);
  } catch (cause) {
    const shapes = Object.entries(golden.inputs).map(([name, tensor]) => `${name} ${tensor.datatype} ${formatShape(tensor.shape)}`);
    throw generated
      ? new SkerryError('GOLDEN_INPUTS_NEEDED', `the model rejects generated inputs (${shapes.join(', ')}): ${messageOf(cause)}`, { cause })
      : new SkerryError('GOLDEN_INPUTS_INVALID', `the model rejects the golden inputs ${golden.name}: ${messageOf(cause)}`, { cause });
  }
}

/** How far a variant is from the samples. */
export interface Agreement {
  readonly maxError: number;
}

/** Checks another variant against the recorded samples; `VARIANT_GOLDEN_MISMATCH` says by how much it is off and what would accept it. */
export async function checkVariant(name: string, model: LoadedModel, samples: readonly RecordedSample[]): Promise<Agreement> {
  let maxError = 0;
  for (const sample of samples) {
    const outputs = await model.run(sample.inputs).catch((cause: unknown) => {
      throw new SkerryError('VARIANT_GOLDEN_MISMATCH', `variant ${name} fails on golden sample ${sample.name}: ${messageOf(cause)}`, {
        cause,
      });
    });
    const comparison = compareOutputs(sample.outputs, outputs, sample.tolerance);
    if (!comparison.agrees) {
      throw new SkerryError('VARIANT_GOLDEN_MISMATCH', `variant ${name} on golden sample ${sample.name}: ${comparison.reason ?? ''}`, {
        details: { variant: name, sample: sample.name, maxError: comparison.maxError, tolerance: sample.tolerance },
      });
    }
    maxError = Math.max(maxError, comparison.maxError);
  }
  return { maxError };
}

/**
 * Checks that golden outputs are finite where they are not allowed to be otherwise: devices hold what the samples show to be right, so a
 * model broken by an export would never be found out. Gives what was allowed, in words. `GOLDEN_NOT_FINITE` names every other output.
 */
export function checkFinite(samples: readonly RecordedSample[], allowed: readonly string[]): string | undefined {
  const found = [...notFiniteIn(samples.map(({ outputs }) => outputs))].map(([name, kinds]) => ({
    name,
    text: `output ${JSON.stringify(name)} holds ${[...kinds].join(' and ')}`,
  }));
  const refused = found.filter(({ name }) => !allowed.includes(name));
  if (refused.length === 0) return found.length === 0 ? undefined : found.map(({ text }) => text).join('; ');
  throw new SkerryError('GOLDEN_NOT_FINITE', `on the golden samples ${refused.map(({ text }) => text).join('; ')}`, {
    details: { outputs: refused.map(({ name }) => name) },
  });
}
