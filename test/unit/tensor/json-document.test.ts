import { describe, expect, it } from 'vitest';
import { type JsonText, readDocument, STRIDE } from '#shared/tensor/json-document.js';
import { fromJsonText } from '#shared/tensor/json-tensor.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { atOnce } from '#shared/kernel/turns.js';
import { coded } from '../../kit/coded.js';
import { toJson } from '../../kit/tensor-json.js';

const options = { what: 'the body', code: 'SERVE_BODY', tensorMembers: new Set(['data']) } as const;

/** How often reading a document may be interrupted. */
function stops(text: string): number {
  const work = readDocument(Buffer.from(text), options);
  let count = 0;
  while (work.next().done !== true) count++;
  return count;
}

function messageOf(data: string): string {
  const { data: text } = atOnce(readDocument(Buffer.from(`{"data":${data}}`), options)) as { readonly data: JsonText };
  try {
    atOnce(fromJsonText('FP32', [2], text, 'input "x"'));
  } catch (cause) {
    return (cause as Error).message;
  }
  return 'no error';
}

describe('a tensor in a document', () => {
  const length = 1024 * 1024;

  it.each([
    ['blanks', ' '.repeat(length)],
    ['empty arrays', '[]'.repeat(length / 2)],
    ['numbers', '1,'.repeat(length / 2) + '1'],
    ['short strings', '"",'.repeat(length / 3) + '""'],
  ])('may be interrupted every few kilobytes within %s', (_, inside) => {
    expect(stops(`{"data":[${inside}]}`)).toBeGreaterThan(length / STRIDE / 2);
  });

  it('takes numbers that are not finite as bare words, as clients of Python write them, and no others', () => {
    const read = (datatype: Datatype, shape: readonly number[], data: string): unknown => {
      const { data: text } = atOnce(readDocument(Buffer.from(`{"data":${data}}`), options)) as { readonly data: JsonText };
      return toJson(atOnce(fromJsonText(datatype, shape, text, 'x')));
    };
    expect(read('FP32', [5], '[NaN,Infinity, -Infinity ,Inf,-Inf]')).toEqual(['NaN', 'Infinity', '-Infinity', 'Infinity', '-Infinity']);
    expect(read('FP16', [2, 2], '[[-NaN,1],["NaN",\nNaN]]')).toEqual(['NaN', 1, 'NaN', 'NaN']);
    expect(() => read('INT32', [1], '[NaN]')).toThrow(coded('TENSOR_DATA', /a whole number/));
    expect(() => read('BYTES', [1], '[NaN]')).toThrow(coded('TENSOR_DATA', /not JSON/));
    for (const data of ['[1,NaN1]', '[1,+NaN]', '[1,1NaN]', '[1,nan]', '[1,Infinite]', '["a, NaN ,b",+1]', '[1,NaN', '[1,-inf]']) {
      expect(() => read('FP32', [2], data)).toThrow(/not JSON|ends before/);
    }
  });

  it('has pieces of bounded length', () => {
    expect(messageOf(`[${' '.repeat(3 * 1024 * 1024)}1,2]`)).toMatch(/more than \d+ bytes between two commas/);
  });
});
