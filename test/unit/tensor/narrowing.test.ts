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
