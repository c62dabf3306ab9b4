import { LIMITS } from '#shared/kernel/limits.js';
import { InvalidArgumentError } from 'commander';
import { MODEL_NAME_RULE, type ModelName, modelNameSchema, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import { isReservedName } from '#shared/bundle/kinds.js';
import type { OutputTolerances, Tolerance } from '#shared/tensor/tolerance.js';
import type { VariantFile } from '../publisher/build.js';

/** Execution providers a session of onnxruntime-node can ask for; a name it does not know would be a version that no device can run. */
const PROVIDERS: readonly string[] = ['cpu', 'coreml', 'cuda', 'dml', 'nnapi', 'openvino', 'qnn', 'tensorrt', 'webgpu', 'xnnpack'];

const VARIANT_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

// How the values of `skerry publish` are read; commander names the option in front of the message.

export function parseModelName(text: string): ModelName {
  const name = modelNameSchema.safeParse(text);
  if (name.success && isReservedName(name.data))
    throw new InvalidArgumentError('That is the name of the agent\'s own releases: see "skerry publish-agent".');
  if (name.success) return name.data;
  throw new InvalidArgumentError(`A name has ${MODEL_NAME_RULE}, at most ${LIMITS.nameLength} in all.`);
}

export function parseVersion(text: string): VersionNumber {
  const version = versionNumberSchema.safeParse(/^\d+$/.test(text) ? Number(text) : undefined);
  if (version.success) return version.data;
  throw new InvalidArgumentError('A version is a whole number of at least 1.');
}

export function parseCount(text: string): number {
  const count = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= 65_536) return count;
  throw new InvalidArgumentError('Expected a whole number from 1 to 65536.');
}

/** `absolute,relative`, or one number for both. */
export function parseTolerance(text: string): Tolerance {
  const numbers = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  const [absolute, relative = absolute] = numbers;
  const valid = numbers.length <= 2 && numbers.every((value) => Number.isFinite(value) && value >= 0);
  if (valid && absolute !== undefined && relative !== undefined) return { absolute, relative };
  throw new InvalidArgumentError('Expected ABSOLUTE,RELATIVE, two numbers of at least 0, such as 1e-3,1e-2.');
}

/** `output=absolute,relative`, collected; one number is the absolute tolerance alone, as integers take it. */
export function collectOutputTolerance(text: string, before: NonNullable<OutputTolerances['outputs']>): typeof before {
  const at = text.lastIndexOf('=');
  const name = text.slice(0, Math.max(at, 0));
  const value = text.slice(at + 1);
  if (name === '') throw new InvalidArgumentError('Expected OUTPUT=ABSOLUTE or OUTPUT=ABSOLUTE,RELATIVE, such as scores=0.05 or class=1.');
  return [...before, { name, ...parseTolerance(value.includes(',') ? value : `${value},0`) }];
}

export function parseVariantName(text: string): string {
  if (VARIANT_NAME.test(text)) return text;
  throw new InvalidArgumentError(
    'A variant has lower-case letters, digits, ".", "_" and "-", at most 64, and begins with a letter or digit.',
  );
}

/** `name=file`, collected. */
export function collectVariant(text: string, before: readonly VariantFile[]): readonly VariantFile[] {
  const at = text.indexOf('=');
  const name = text.slice(0, Math.max(at, 0));
  const path = text.slice(at + 1);
  if (at < 1 || path === '' || !VARIANT_NAME.test(name)) {
    throw new InvalidArgumentError('Expected NAME=FILE, such as int8=model-int8.onnx.');
  }
  return [...before, { name, path }];
}

/** `name=size`, collected. */
export function collectDimension(text: string, before: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const at = text.lastIndexOf('=');
  const size = text.slice(at + 1);
  if (at < 1 || !/^\d{1,9}$/.test(size))
    throw new InvalidArgumentError('Expected NAME=SIZE, such as batch=1, or TENSOR.AXIS=SIZE, such as input.1=512.');
  return new Map([...before, [text.slice(0, at), Number(size)]]);
}

export function collectText(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

export function collectProvider(text: string, before: readonly string[]): readonly string[] {
  if (!PROVIDERS.includes(text)) throw new InvalidArgumentError(`Execution providers are ${PROVIDERS.join(', ')}.`);
  return [...before, text];
}
