import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { predictAnswer } from '#agent/serve/dialects/tensorflow-serving/predict-answer.js';
import { readExamples, readPredict } from '#agent/serve/dialects/tensorflow-serving/predict-request.js';
import { atOnce } from '#shared/kernel/turns.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { fromJson } from '#shared/tensor/json.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import { outcome } from '../kit/coded.js';

// Tensors in the JSON of TensorFlow Serving. What is written as outputs is what is read as inputs.

const ELEMENTS = 10_000;
const CELLS: readonly (readonly [Datatype, fc.Arbitrary<unknown>])[] = [
  ['FP32', fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom('NaN', 'Infinity', '-Infinity'))],
  ['FP64', fc.double({ noNaN: true, noDefaultInfinity: true })],
  ['FP16', fc.integer({ min: -2048, max: 2048 })],
  ['INT64', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)],
  ['UINT64', fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String)],
  ['INT8', fc.integer({ min: -128, max: 127 })],
  ['BOOL', fc.boolean()],
  ['BYTES', fc.string({ unit: 'grapheme' })],
];

/** Tensors with the same number of rows, some of them called bytes. */
const tensors: fc.Arbitrary<NamedTensors> = fc
  .tuple(
    fc.integer({ min: 1, max: 4 }),
    fc.uniqueArray(fc.constantFrom('x', 'y', 'a b', '__proto__', 'x_bytes', 'é'), { minLength: 1, maxLength: 3 }),
  )
  .chain(([rows, names]) =>
    fc
      .tuple(
        ...names.map((name) =>
          fc
            .tuple(fc.constantFrom(...CELLS), fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }))
            .chain(([[datatype, cell], rest]) => {
              const shape = [rows, ...rest];
              const count = shape.reduce((product, size) => product * size, 1);
              return fc
                .array(cell, { minLength: count, maxLength: count })
                .map((data) => [name, fromJson(datatype, shape, data, name)] as const);
            }),
        ),
      )
      .map((entries) => Object.fromEntries(entries)),
  );

const specsOf = (made: NamedTensors): readonly TensorSpec[] =>
  Object.entries(made).map(([name, { datatype, shape }]) => ({ name, datatype, shape: shape.map(() => -1) }));

async function written(made: NamedTensors, form: 'row' | 'column'): Promise<string> {
  const pieces: string[] = [];
  const { body } = await predictAnswer(made, form, ELEMENTS);
  for await (const piece of body) pieces.push(String(piece));
  return pieces.join('');
}

describe('the JSON of TensorFlow Serving', () => {
  test.each([
    ['row', 'predictions', 'instances'],
    ['column', 'outputs', 'inputs'],
  ] as const)('what was written as a %s is read back', async (form, answered, asked) => {
    await fc.assert(
      fc.asyncProperty(tensors, async (made) => {
        const text = (await written(made, form)).replace(`"${answered}":`, `"${asked}":`);
        const read = atOnce(readPredict(Buffer.from(text), { inputs: specsOf(made), jsonElements: ELEMENTS }));
        expect(read.form).toBe(form);
        expect(Object.entries(read.inputs)).toEqual(Object.entries(made));
      }),
      { numRuns: 100 },
    );
  });

  test('any document is read, or refused with a code', () => {
    const inputs: readonly TensorSpec[] = [
      { name: 'x', datatype: 'FP32', shape: [-1, 2] },
      { name: 'y', datatype: 'BYTES', shape: [-1] },
    ];
    const keys = fc.constantFrom('instances', 'inputs', 'examples', 'context', 'signature_name', 'x', 'y', 'b64');
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom<unknown>(null, true, 1.5, 7, '', 'YQ==', '*', 'serving_default'),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(keys, tie('value'), { maxKeys: 3 }),
      ),
    }));
    const codes = new Set<unknown>();
    fc.assert(
      fc.property(
        fc.oneof(fc.dictionary(keys, value, { maxKeys: 3 }), value),
        fc.constantFrom(readPredict, readExamples),
        (document, read) => {
          const result = outcome(() => atOnce<unknown>(read(Buffer.from(JSON.stringify(document)), { inputs, jsonElements: 100 })));
          if ('code' in result) codes.add(result.code);
        },
      ),
      { numRuns: 500 },
    );
    for (const code of codes) expect(code).toMatch(/^(SERVE|TENSOR)_/);
  });
});
