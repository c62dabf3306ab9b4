import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { readInputs } from '#agent/serve/dialects/torchserve/inputs.js';
import { boundaryOf, readMultipart } from '#agent/serve/dialects/torchserve/multipart.js';
import { atOnce } from '#shared/kernel/turns.js';
import { outcome } from '../kit/coded.js';

const BOUNDARY = 'b0und';
const read = (bytes: Uint8Array) => atOnce(readMultipart(bytes, BOUNDARY)).map(({ name, bytes: content }) => [name, [...content]]);

const name = fc.string({ unit: 'grapheme' }).filter((text) => !/["\\\r\n]/.test(text));
const content = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom('', '\r\n', '--', '\r\n--b0un', '-', '\r\n--b0undary\r\n', '\r\n--b0und-').map((text) => Buffer.from(text)),
);
const part = fc.tuple(name, content, fc.constantFrom('', '; filename="a"', '\r\nContent-Type: text/plain'));

function write(parts: readonly (readonly [string, Uint8Array, string])[], preamble: string): Buffer {
  const pieces = parts.flatMap(([key, bytes, more]) => [
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${key}"${more}\r\n\r\n`),
    bytes,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([Buffer.from(preamble), ...pieces, Buffer.from(`--${BOUNDARY}--\r\nepilogue`)]);
}

test('parts of a form are read as they were written', () => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), fc.constantFrom('', 'preamble\r\n'), (parts, preamble) => {
      expect(read(write(parts, preamble))).toEqual(parts.map(([key, bytes]) => [key, [...bytes]]));
    }),
  );
});

test('any bytes, and any piece of a form, are refused as what they are', () => {
  const spoilt = fc
    .tuple(fc.array(part, { maxLength: 3 }), fc.nat(), fc.nat(), fc.uint8Array({ maxLength: 5 }))
    .map(([parts, at, drop, put]) => {
      const bytes = write(parts, '');
      const start = at % bytes.byteLength;
      return Buffer.concat([bytes.subarray(0, start), put, bytes.subarray(start + (drop % 10))]);
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), spoilt), (bytes) => {
      const result = outcome(() => read(bytes));
      expect('code' in result ? result.code : 'SERVE_BODY').toBe('SERVE_BODY');
    }),
  );
});

test('a form has limits', () => {
  const many = Array.from({ length: 5_000 }, () => ['k', Buffer.alloc(0), ''] as const);
  expect(outcome(() => read(write(many, '')))).toEqual({ code: 'SERVE_BODY' });
  const head = Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${'n'.repeat(20_000)}"\r\n\r\n1\r\n--${BOUNDARY}--`);
  expect(outcome(() => read(head))).toEqual({ code: 'SERVE_BODY' });
  for (const type of ['multipart/form-data', 'multipart/form-data; boundary=', `multipart/form-data; boundary=${'b'.repeat(71)}`]) {
    expect(
      outcome(() => boundaryOf(type)),
      type,
    ).toEqual({ code: 'SERVE_BODY' });
  }
  expect(boundaryOf('multipart/form-data; charset=utf-8; boundary=" a "; x=y')).toBe(' a ');
});

test('a body of any kind is inputs, or refused with a code of the caller', () => {
  const inputs = [{ name: 'x', datatype: 'FP32' as const, shape: [-1, 2] }];
  const types = fc.constantFrom(
    undefined,
    'application/json',
    'text/plain',
    `multipart/form-data; boundary=${BOUNDARY}`,
    'application/x-www-form-urlencoded',
  );
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.json().map((text) => Buffer.from(text)),
    fc.array(part).map((parts) => write(parts, '')),
  );
  fc.assert(
    fc.property(types, body, (type, bytes) => {
      const result = outcome(() => atOnce(readInputs(type, bytes, { inputs, jsonElements: 100 })));
      const codes = ['SERVE_BODY', 'SERVE_REQUEST', 'SERVE_JSON_TOO_LARGE', 'TENSOR_DATA', 'TENSOR_TOO_LARGE', 'TENSOR_MISSING'];
      expect('code' in result ? codes : ['none']).toContain('code' in result ? result.code : 'none');
    }),
  );
});
