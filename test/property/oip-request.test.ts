import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { KnownHeads } from '#agent/serve/dialects/oip/known-heads.js';
import { parseInferRequest, withTensors } from '#agent/serve/dialects/oip/oip-request.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { atOnce } from '#shared/kernel/turns.js';
import { fp32 } from '../kit/servables.js';

/** What became of a body: `read`, or the fault of the error it was refused with. */
function outcomeOf(bytes: Uint8Array, header: string | undefined): string {
  try {
    atOnce(parseInferRequest(bytes, header, 100));
    return 'read';
  } catch (error) {
    return error instanceof SkerryError && error.http < 500 ? error.entry.fault : 'crash';
  }
}

test('whatever comes, it is read or refused as the caller’s fault', () => {
  const header = fc.option(fc.string({ maxLength: 8 }), { nil: undefined });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), header, (bytes, length) => {
      expect(['read', 'caller']).toContain(outcomeOf(bytes, length));
    }),
  );
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(['read', 'caller']).toContain(outcomeOf(Buffer.from(text), undefined));
    }),
  );
});

const anything = fc.jsonValue({ maxDepth: 2 });
const almost = fc.record(
  {
    id: anything,
    parameters: fc.oneof(
      anything,
      fc.record({ binary_data_output: anything, timeout: anything, priority: anything, sequence_id: anything, sequence_end: anything }),
    ),
    inputs: fc.oneof(
      anything,
      fc.array(
        fc.record(
          {
            name: fc.oneof(anything, fc.string()),
            shape: fc.oneof(anything, fc.array(fc.oneof(fc.integer(), fc.constant(1e300)), { maxLength: 20 })),
            datatype: fc.oneof(anything, fc.constantFrom('FP32', 'INT64', 'BYTES', 'BOOL', 'FP16')),
            data: fc.oneof(anything, fc.array(anything)),
            parameters: fc.oneof(anything, fc.record({ binary_data_size: fc.oneof(anything, fc.nat()), shared_memory_region: anything })),
          },
          { requiredKeys: [] },
        ),
        { maxLength: 3 },
      ),
    ),
    outputs: fc.oneof(
      anything,
      fc.array(
        fc.record(
          {
            name: anything,
            parameters: fc.oneof(anything, fc.record({ classification: anything, binary_data: anything, shared_memory_region: anything })),
          },
          { requiredKeys: [] },
        ),
        { maxLength: 3 },
      ),
    ),
  },
  { requiredKeys: [] },
);

test('requests that are almost right are too', () => {
  fc.assert(
    fc.property(almost, fc.uint8Array({ maxLength: 16 }), (document, rest) => {
      const head = Buffer.from(JSON.stringify(document));
      expect(['read', 'caller']).toContain(outcomeOf(Buffer.concat([head, rest]), String(head.byteLength)));
    }),
    { numRuns: 300 },
  );
});

test('tensors come out as they went in, as JSON and as binary data', () => {
  const values = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(values, values, fc.boolean(), (first, second, binaryOutput) => {
      const a = fp32([first.length], first);
      const b = fp32([second.length], second);
      const document = {
        inputs: [
          { name: 'a', datatype: 'FP32', shape: a.shape, parameters: { binary_data_size: a.data.byteLength } },
          { name: 'c', datatype: 'FP32', shape: b.shape, data: [...new Float32Array(b.data.buffer)] },
          { name: 'b', datatype: 'FP32', shape: b.shape, parameters: { binary_data_size: b.data.byteLength } },
        ],
        outputs: [{ name: 'y' }, { name: 'z', parameters: { binary_data: !binaryOutput } }],
        parameters: { binary_data_output: binaryOutput, timeout: 1500 },
      };
      const head = Buffer.from(JSON.stringify(document));
      const request = atOnce(parseInferRequest(Buffer.concat([head, a.data, b.data]), String(head.byteLength), 100));
      expect(request.timeout).toBe(1.5);
      // `binary_data_output` is for requests that list no outputs.
      expect(request.binaryOutput).toBe(binaryOutput);
      expect(request.outputs).toMatchObject([
        { name: 'y', binary: false },
        { name: 'z', binary: !binaryOutput },
      ]);
      expect([...(request.inputs['a']?.data ?? [])]).toEqual([...a.data]);
      expect([...(request.inputs['b']?.data ?? [])]).toEqual([...b.data]);
      // JSON has one zero: -0 becomes 0.
      expect([...(request.inputs['c']?.data ?? [])]).toEqual([
        ...fp32(
          [second.length],
          second.map((value) => value + 0),
        ).data,
      ]);
    }),
  );
});

test('a JSON part that was read before gives the same request, whatever lies behind it, and one with data in it is read anew', () => {
  const heads = new KnownHeads();
  const read = (head: Buffer, behind: Uint8Array): unknown => {
    try {
      const known = heads.read(head);
      if (known === undefined) throw new Error('too long');
      return atOnce(withTensors(known, behind, 100));
    } catch (cause) {
      return cause instanceof SkerryError ? cause.code : cause;
    }
  };
  const readAnew = (head: Buffer, behind: Uint8Array): unknown => {
    try {
      return atOnce(parseInferRequest(Buffer.concat([head, behind]), String(head.byteLength), 100));
    } catch (cause) {
      return cause instanceof SkerryError ? cause.code : cause;
    }
  };
  const input = fc.record(
    {
      datatype: fc.constantFrom('FP32', 'BOOL', 'BYTES', 'INT64', 'none'),
      shape: fc.array(fc.nat(3), { maxLength: 2 }),
      size: fc.nat(9),
      data: fc.array(fc.nat(9)),
    },
    { requiredKeys: ['datatype', 'shape'] },
  );
  fc.assert(
    fc.property(fc.array(input, { maxLength: 3 }), fc.boolean(), fc.uint8Array({ maxLength: 20 }), (inputs, binary, behind) => {
      const described = inputs.map(({ size, ...rest }, at) => ({ name: `i${at}`, ...rest, parameters: { binary_data_size: size } }));
      const head = Buffer.from(JSON.stringify({ inputs: described, parameters: { binary_data_output: binary } }));
      const expected = readAnew(head, behind);
      // The first time it is read, then remembered.
      expect([read(head, behind), read(head, behind)]).toEqual([expected, expected]);
    }),
  );
  expect(heads.read(Buffer.from(`{"inputs":[],"id":"${'x'.repeat(2048)}"}`))).toBeUndefined();
});
