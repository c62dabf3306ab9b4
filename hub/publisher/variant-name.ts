import type { OnnxFile } from './onnx-file.js';

/** Operators that compute with integers, or take their weights as such; MatMulNBits has weights of few bits. */
const QUANTIZED = /^(QLinear|QGemm|QAttention|QMoE|DequantizeLinear$|DynamicQuantize|MatMulInteger|ConvInteger)/;
const FEW_BITS = /^(MatMulNBits|MatMulBnb4|GatherBlockQuantized)$/;

/** What weights of an element type make of a variant. Numbers that are indexes and sizes (int64, int32) say nothing. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['float', 'fp32'],
  ['double', 'fp64'],
  ['float16', 'fp16'],
  ['bfloat16', 'bf16'],
  ['float8e4m3fn', 'fp8'],
  ['float8e4m3fnuz', 'fp8'],
  ['float8e5m2', 'fp8'],
  ['float8e5m2fnuz', 'fp8'],
  ['float4e2m1', 'fp4'],
  ['int8', 'int8'],
  ['uint8', 'int8'],
  ['int16', 'int16'],
  ['uint16', 'int16'],
  ['int4', 'int4'],
  ['uint4', 'int4'],
]);

/** What form of a model a file is, for the name of its variant: by its operators, by most of its weights, else by what it takes and gives. */
export function variantNameOf(file: Pick<OnnxFile, 'operators' | 'weights' | 'inputs' | 'outputs'>): string {
  if (file.operators.some(({ name }) => FEW_BITS.test(name))) return 'int4';
  const byName = new Map<string, number>();
  for (const [element, count] of Object.entries(file.weights)) {
    const name = NAMES.get(element);
    if (name !== undefined) byName.set(name, (byName.get(name) ?? 0) + count);
  }
  const quantized = file.operators.some(({ name }) => QUANTIZED.test(name));
  if (quantized) return byName.has('int4') ? 'int4' : 'int8';
  // Bytes may be data, such as a table of text; without operators for them they make no quantized model.
  const floating = [...byName].filter(([name]) => isFloating(name)).toSorted(([, a], [, b]) => b - a);
  const byValue = [...file.inputs, ...file.outputs]
    .map(({ type }) => (type.kind === 'tensor' ? NAMES.get(type.element) : undefined))
    .find((name) => name !== undefined && isFloating(name));
  return floating[0]?.[0] ?? byValue ?? (file.operators.some(({ domain }) => domain === 'ai.onnx.ml') ? 'fp32' : 'original');
}

function isFloating(name: string): boolean {
  return name.startsWith('fp') || name.startsWith('bf');
}
