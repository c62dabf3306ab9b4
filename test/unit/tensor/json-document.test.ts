import { describe, expect, it } from 'vitest';
import { type JsonText, readDocument, STRIDE } from '#shared/tensor/json-document.js';
import { fromJsonText } from '#shared/tensor/json-tensor.js';
import { atOnce } from '#shared/kernel/turns.js';

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

  it('says how numbers are written that JSON does not have, only where one stands', () => {
    const advice = /are written as strings/;
    expect(messageOf('[1,NaN]')).toMatch(advice);
    expect(messageOf('[-Infinity,1]')).toMatch(advice);
    expect(messageOf('["NaN",1.]')).not.toMatch(advice);
    expect(messageOf('["a, NaN ,b",+1]')).not.toMatch(advice);
    expect(messageOf(`[${' '.repeat(3 * 1024 * 1024)}1,2]`)).toMatch(/more than \d+ bytes between two commas/);
  });
});
