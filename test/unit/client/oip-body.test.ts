import { describe, expect, it } from 'vitest';
import { inferBody, readInferAnswer } from '#shared/client/oip-body.js';
import { coded } from '../../kit/coded.js';
import { fp32 } from '../../kit/servables.js';
import { toJson } from '../../kit/tensor-json.js';

const answer = (outputs: string): Buffer => Buffer.from(`{"model_name":"m","model_version":"1","outputs":[${outputs}]}`);

describe('an answer in JSON', () => {
  it('keeps the digits of long integers, and takes NaN as any server writes it', () => {
    const bytes = answer(
      '{"name":"i","datatype":"INT64","shape":[2],"data":[9223372036854775807,-5]},{"name":"f","datatype":"FP32","shape":[3],"data":[NaN,"NaN",-Infinity]}',
    );
    const { outputs } = readInferAnswer(bytes, undefined);
    expect([outputs['i'], outputs['f']].map((tensor) => tensor && toJson(tensor))).toEqual([
      ['9223372036854775807', -5],
      ['NaN', 'NaN', '-Infinity'],
    ]);
  });

  it.each([
    ['no JSON', Buffer.from('<html>'), 'CLIENT_ANSWER'],
    ['no outputs', Buffer.from('{"model_name":"m"}'), 'CLIENT_ANSWER'],
    ['another kind of data', answer('{"name":"i","datatype":"INT64","shape":[1],"data":"x"}'), 'CLIENT_ANSWER'],
    ['too few elements', answer('{"name":"i","datatype":"INT64","shape":[2],"data":[1]}'), 'TENSOR_DATA'],
  ] as const)('with %s is refused by name', (_what, bytes, code) => {
    expect(() => readInferAnswer(bytes, undefined)).toThrow(coded(code));
  });
});

it('asks for the outputs that it names as binary, unless told otherwise', () => {
  const outputs = [
    { name: 'a' },
    { name: 'b', parameters: { binary_data: false } },
    { name: 'c', parameters: { shared_memory_region: 'r' } },
  ];
  const { parts } = inferBody({ model: 'm', inputs: { x: fp32([1], [1]) }, id: undefined, outputs, parameters: {} }, 1000);
  expect(JSON.parse(Buffer.from(parts[0] ?? []).toString())).toMatchObject({
    outputs: [
      { name: 'a', parameters: { binary_data: true } },
      { name: 'b', parameters: { binary_data: false } },
      { name: 'c', parameters: { shared_memory_region: 'r' } },
    ],
  });
});
