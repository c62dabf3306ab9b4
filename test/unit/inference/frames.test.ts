import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeFrame, FrameReader } from '#agent/inference/instances/frames.js';
import { endOf, isCrash } from '#agent/inference/decide/instance-end.js';
import { digestOfInputs } from '#agent/inference/faults/input-digest.js';
import { chooseCarrier, type IsolationMode, runnersFor } from '#agent/inference/decide/isolation.js';
import { encodeVersion, SLOT } from '#agent/inference/faults/witness-slots.js';
import { readSuspects } from '#agent/inference/decide/witness-suspects.js';
import { fp32, modelName, versionNumber } from '../../kit/servables.js';

const GiB = 1024 ** 3;

describe('3: messages between the agent and a process of a model', () => {
  test('arrive as they were sent, however the stream cuts them', () => {
    const value = fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.constantFrom(Number.NaN, Infinity, -Infinity), fc.uint8Array());
    const message = fc.record({
      kind: fc.constant('run'),
      id: fc.nat(),
      values: fc.dictionary(
        fc.oneof(
          fc.string().filter((key) => key !== '__proto__'),
          fc.constantFrom('$bytes', '$number', '$$bytes', '$', '$$'),
        ),
        value,
      ),
    });
    const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 5 }), cuts, (messages, sizes) => {
        const stream = Buffer.concat(messages.flatMap((one) => [...encodeFrame(one)]));
        const read: unknown[] = [];
        const reader = new FrameReader((one) => read.push(one));
        for (let at = 0, cut = 0; at < stream.byteLength; cut++) {
          const size = sizes[cut % sizes.length]!;
          reader.push(stream.subarray(at, at + size));
          at += size;
        }
        expect(read).toEqual(messages.map((one) => ({ ...one, values: { ...one.values } })));
      }),
    );
  });

  test('9: a tensor may be called as the marks of a frame are', () => {
    const inputs = { $bytes: fp32([1], [1]), $number: fp32([1], [2]), $$bytes: fp32([1], [3]) };
    const read: unknown[] = [];
    new FrameReader((one) => read.push(one)).push(Buffer.concat([...encodeFrame({ kind: 'run', id: 1, inputs })]));
    expect(read).toEqual([{ kind: 'run', id: 1, inputs }]);
  });

  test('a stream that is none of frames is refused', () => {
    const reader = new FrameReader(() => undefined);
    expect(() => reader.push(Buffer.alloc(8, 0xff))).toThrow('a head of 4294967295 bytes');
    expect(() => new FrameReader(() => undefined).push(Buffer.alloc(4))).toThrow('a head of 0 bytes');
  });
});

describe('3: where an instance runs', () => {
  const choose = (mode: IsolationMode, gibibytes: number, running: number, crashedBefore = false) =>
    chooseCarrier({ mode, memoryBytes: gibibytes * GiB, running, crashedBefore });

  test.each([
    ['auto', 1, 0, 'thread'],
    ['auto', 2, 0, 'thread'],
    ['auto', 4, 0, 'process'],
    ['auto', 4, 5, 'thread'],
    ['auto', 24, 15, 'process'],
    ['auto', 24, 16, 'thread'],
    ['thread', 24, 0, 'thread'],
    ['process', 1, 99, 'process'],
  ] as const)('%s with %i GiB and %i running: %s', (mode, memory, running, carrier) => {
    expect(choose(mode, memory, running)).toBe(carrier);
  });

  test.each(['auto', 'thread', 'process'] as const)('%s: a version that crashed before runs in a process of its own', (mode) => {
    expect(choose(mode, 1, 99, true)).toBe('process');
  });

  test('processes never take more than their share of the memory', () => {
    for (let memory = 0; memory < 64 * GiB; memory += GiB / 4) expect(runnersFor(memory) * 48 * 1024 ** 2).toBeLessThanOrEqual(memory / 16);
  });
});

describe('3: why an instance ended', () => {
  test.each([
    [{ how: 'signal SIGFPE', signal: 'SIGFPE' }, 'run', 'INFERENCE_CRASHED'],
    [{ how: 'signal SIGSEGV', signal: 'SIGSEGV' }, 'load', 'INFERENCE_CRASHED'],
    [{ how: 'signal SIGABRT', signal: 'SIGABRT' }, 'check', 'INFERENCE_CRASHED'],
    [{ how: 'signal SIGFPE', signal: 'SIGFPE' }, 'copy', 'INFERENCE_CRASHED'],
    [{ how: 'exit code 3221225620', code: 0xc0000094 }, 'run', 'INFERENCE_CRASHED'],
    [{ how: 'signal SIGKILL', signal: 'SIGKILL' }, 'run', 'INFERENCE_INSTANCE_DIED'],
    [{ how: 'signal SIGABRT', signal: 'SIGABRT', heapFull: true }, 'run', 'INFERENCE_INSTANCE_DIED'],
    [{ how: 'exit code 134', code: 134, heapFull: true }, 'run', 'INFERENCE_INSTANCE_DIED'],
    [{ how: 'exit code 1', code: 1 }, 'run', 'INFERENCE_INSTANCE_DIED'],
    [{ how: 'signal SIGSEGV', signal: 'SIGSEGV' }, undefined, 'INFERENCE_INSTANCE_DIED'],
  ] as const)('%j during %s: %s', (end, during, code) => {
    const { reason, bystanders } = endOf(end, during);
    expect([reason.code, bystanders.code]).toEqual([code, 'INFERENCE_INSTANCE_DIED']);
    expect(reason.message).toContain('heapFull' in end ? 'JavaScript heap' : end.how.includes('SIGKILL') ? 'killed' : end.how);
  });
});

test.each([
  ['a crash', { how: 'signal SIGFPE', signal: 'SIGFPE' }, 'run', true],
  ['a crash at a copy of a request', { how: 'signal SIGFPE', signal: 'SIGFPE' }, 'copy', true],
  ['an end during a run', { how: 'exit code 1', code: 1 }, 'run', true],
  ['a kill', { how: 'signal SIGKILL', signal: 'SIGKILL' }, 'run', false],
  ['a kill of an idle one', { how: 'signal SIGKILL', signal: 'SIGKILL' }, undefined, false],
  ['any end of an idle one', { how: 'signal SIGSEGV', signal: 'SIGSEGV' }, undefined, false],
  ['a full heap', { how: 'signal SIGABRT', signal: 'SIGABRT', heapFull: true }, 'run', false],
  ['one that did not start', { how: 'it could not be started', notStarted: true }, 'load', false],
] as const)('2: %s counts against the version: %j during %s: %s', (_, end, during, counts) => {
  expect(isCrash(endOf(end, during).reason)).toBe(counts);
});

describe('3: what is written down before native code is entered', () => {
  const slot = (state: number, version: number, digest = '00'): Buffer => {
    const bytes = encodeVersion({ model: modelName('m'), version: versionNumber(version) });
    bytes[0] = state;
    bytes.write(digest, 1, 'hex');
    return bytes;
  };

  test('names who was in it, and on which inputs', () => {
    const digest = digestOfInputs({ x: fp32([1], [7]) });
    expect(readSuspects(Buffer.concat([slot(0, 1), slot(2, 2, digest), slot(1, 3)]))).toEqual([
      { model: 'm', version: 2, work: 'run', digest },
      { model: 'm', version: 3, work: 'load' },
    ]);
  });

  test('says nothing where it is damaged or cut off', () => {
    expect(readSuspects(Buffer.concat([slot(9, 1), Buffer.alloc(SLOT.bytes, 2), slot(2, 1).subarray(0, 100)]))).toEqual([]);
  });

  test('digests differ by name, shape, datatype and data, and not by order', () => {
    const [a, b] = [fp32([2], [1, 2]), fp32([2], [3, 4])];
    expect(digestOfInputs({ a, b })).toBe(digestOfInputs({ b, a }));
    const digests = [{ a, b }, { a: b, b: a }, { a }, { c: a }, { a: fp32([1, 2], [1, 2]) }, { a: { ...a, datatype: 'INT32' as const } }];
    expect(new Set(digests.map(digestOfInputs)).size).toBe(digests.length);
  });
});
