import { describe, expect, test } from 'vitest';
import { expectedOutputs } from '#agent/inference/checks/expected-outputs.js';
import type { OipRequest } from '#agent/serve/dialects/oip/oip-request.js';
import { checkExpected } from '#agent/serve/dialects/oip/oip-response.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import { coded } from '../../kit/coded.js';
import { fp32 } from '../../kit/servables.js';

const spec = (name: string, ...shape: readonly number[]): TensorSpec => ({ name, datatype: 'FP32', shape });
const asked = (rest: Partial<OipRequest> = {}): OipRequest => ({
  id: undefined,
  key: undefined,
  inputs: {},
  outputs: undefined,
  binaryOutput: false,
  timeout: undefined,
  regions: [],
  priority: undefined,
  sequence: undefined,
  ...rest,
});
const wish = (name: string) => ({ name, binary: false, classes: undefined, place: undefined });
const refusal = coded('SERVE_JSON_TOO_LARGE', 'output "mask" [1,512,512] has 262144 elements');
const MOST = 1000;

describe('an answer that is too large for JSON is refused by what its outputs are declared to be', () => {
  const outputs = [spec('score', 1, 10), spec('mask', 1, 512, 512)];

  test('all outputs, the one that is named, and the sum of several', () => {
    expect(() => checkExpected(asked(), outputs, MOST)).toThrow(refusal);
    expect(() => checkExpected(asked({ outputs: [wish('mask')] }), outputs, MOST)).toThrow(refusal);
    const several = Array.from({ length: 101 }, (_, at) => spec(`part${at}`, 1, 10));
    expect(() => checkExpected(asked(), several, MOST)).toThrow(coded('SERVE_JSON_TOO_LARGE', 'after 1000 of others'));
  });

  test('not one that goes as binary data, or that nobody asked for', () => {
    checkExpected(asked({ binaryOutput: true }), outputs, MOST);
    checkExpected(asked({ outputs: [{ ...wish('mask'), binary: true }] }), outputs, MOST);
    checkExpected(asked({ outputs: [wish('score')] }), outputs, MOST);
  });

  test('not one whose size is not declared', () => {
    checkExpected(asked(), [spec('mask', -1, 512, 512), { ...spec('any'), anyShape: true }], MOST);
  });
});

describe('the number of rows is known', () => {
  const inputs = {
    x: fp32(
      [7, 2],
      Array.from({ length: 14 }, () => 0),
    ),
  };
  const outputs = [spec('y', -1, 100), spec('fixed', 3), { ...spec('any'), anyShape: true as const }];

  test('where rows were proved to go through the model one by one', () => {
    const [y, ...others] = expectedOutputs({ outputs, batching: { maxBatchSize: 8 } }, inputs);
    expect(y?.shape).toEqual([7, 100]);
    expect(others).toEqual(outputs.slice(1));
  });

  test('nowhere else', () => {
    expect(expectedOutputs({ outputs }, inputs)).toBe(outputs);
    const uneven = { ...inputs, z: fp32([2], [1, 2]) };
    expect(expectedOutputs({ outputs, batching: { maxBatchSize: 8 } }, uneven)).toBe(outputs);
  });
});
