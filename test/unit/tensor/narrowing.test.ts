import { expect, test } from 'vitest';
import { narrowing, type Signature } from '#shared/tensor/narrowing.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';

const spec = (name: string, shape: readonly number[], datatype: TensorSpec['datatype'] = 'FP32'): TensorSpec => ({ name, datatype, shape });
const before: Signature = { inputs: [spec('x', [-1, 4])], outputs: [spec('y', [-1, 2])] };

test.each<[string, Partial<Signature>, string | undefined]>([
  ['the same', {}, undefined],
  ['another size', { inputs: [spec('x', [-1, 5])] }, 'input x FP32 [-1,4] became x FP32 [-1,5]'],
  ['one size of many', { inputs: [spec('x', [1, 4])] }, 'input x FP32 [-1,4] became x FP32 [1,4]'],
  ['any size instead of one', { inputs: [spec('x', [-1, -1])] }, undefined],
  ['another rank', { inputs: [spec('x', [-1, 4, 1])] }, 'input x FP32 [-1,4] became x FP32 [-1,4,1]'],
  ['another datatype', { inputs: [spec('x', [-1, 4], 'FP16')] }, 'input x FP32 [-1,4] became x FP16 [-1,4]'],
  ['one input more', { inputs: [...before.inputs, spec('mask', [-1])] }, 'input mask FP32 [-1] is new'],
  ['one input less', { inputs: [] }, 'input x FP32 [-1,4] is gone'],
  ['one output more', { outputs: [...before.outputs, spec('z', [1])] }, undefined],
  ['one output less', { outputs: [] }, 'output y FP32 [-1,2] is gone'],
])('%s', (_title, changed, reason) => {
  expect(narrowing(before, { ...before, ...changed })).toBe(reason);
});

const any = (name: string): TensorSpec => ({ ...spec(name, []), anyShape: true });

test.each<[string, TensorSpec, TensorSpec, string | undefined]>([
  ['a shape to any shape', spec('x', [-1, 4]), any('x'), undefined],
  ['any shape to any shape', any('x'), any('x'), undefined],
  ['any shape to a scalar', any('x'), spec('x', []), 'input x FP32 of any shape became x FP32 []'],
  ['any shape to any sizes', any('x'), spec('x', [-1]), 'input x FP32 of any shape became x FP32 [-1]'],
])('from %s', (_title, known, next, reason) => {
  expect(narrowing({ inputs: [known], outputs: [] }, { inputs: [next], outputs: [] })).toBe(reason);
});
