import { describe, expect, test } from 'vitest';
import { ortError } from '#agent/inference/instances/ort-errors.js';
import { checkSignature } from '#agent/inference/placement/signature.js';
import { forPosting } from '#agent/inference/instances/transfer.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { coded } from '../../kit/coded.js';
import { fp32, X, Y } from '../../kit/servables.js';

describe('errors of the runtime', () => {
  // The texts are those ONNX Runtime 1.30 gave; the integration tests meet several of them for real.
  test.each([
    ['load', 'Load model from bad.onnx failed:Protobuf parsing failed.', 'INFERENCE_MODEL_INVALID'],
    ['load', 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library', 'INFERENCE_PROVIDER_UNAVAILABLE'],
    ['load', 'no available backend found. ERR: [foo] backend not found.', 'INFERENCE_PROVIDER_UNAVAILABLE'],
    ['load', 'Failed to get a WebGPU adapter: No supported adapters', 'INFERENCE_PROVIDER_UNAVAILABLE'],
    ['load', 'std::bad_alloc', 'INFERENCE_OUT_OF_MEMORY'],
    ['run', 'Invalid rank for input: input Got: 1 Expected: 2', 'INFERENCE_INPUT_REFUSED'],
    ['run', 'Got invalid dimensions for input: state for the following indices', 'INFERENCE_INPUT_REFUSED'],
    ['run', 'Unexpected input data type. Actual: (tensor(int32)) , expected: (tensor(float))', 'INFERENCE_INPUT_REFUSED'],
    ['run', "input 'state' is missing in 'feeds'.", 'INFERENCE_INPUT_REFUSED'],
    ['run', "Non-zero status code returned while running Gather node. Name:'g'", 'INFERENCE_RUN_FAILED'],
    [
      'run',
      "Non-zero status code returned while running Loop node. Name:'l' Status Message: trip count must be a scalar",
      'INFERENCE_RUN_FAILED',
    ],
    [
      'run',
      'bfc_arena.cc BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 9',
      'INFERENCE_OUT_OF_MEMORY',
    ],
  ] as const)('%s: %s', (phase, text, code) => {
    expect(ortError(new Error(text), phase, 'it')).toEqual(coded(code));
  });

  test("keep the runtime's whole sentence, without places in its source and C++ signatures (14), and ours pass through", () => {
    const place = '/onnxruntime_src/onnxruntime/core/graph/model.cc:187 ';
    const signature = 'onnxruntime::Model::Model(onnx::ModelProto&&, const std::map<int, bool>&, const onnxruntime::ModelOptions&)';
    const error = ortError(
      new Error(`Load model from /data/blobs/ab failed:${place}${signature} ${'word '.repeat(200)}end.`),
      'load',
      'it',
    );
    expect(error.message).toBe(`it: ${'word '.repeat(200)}end.`);
    const ours = new SkerryError('TENSOR_UNSUPPORTED', 'no');
    expect(ortError(ours, 'run', 'it')).toBe(ours);
  });
});

describe('the signature of a file', () => {
  const spec = { inputs: [X], outputs: [Y] };

  test('may be vaguer or tighter than the manifest, not another one', () => {
    const loose = { ...X, shape: [-1, -1] };
    expect(() => checkSignature(spec, { inputs: [loose], outputs: [Y] }, 'v')).not.toThrow();
    for (const inputs of [
      [],
      [{ ...X, name: 'z' }],
      [{ ...X, datatype: 'FP64' as const }],
      [{ ...X, shape: [4] }],
      [{ ...X, shape: [-1, 5] }],
      [X, Y],
    ]) {
      expect(() => checkSignature(spec, { inputs, outputs: [Y] }, 'v')).toThrow(coded('INFERENCE_SIGNATURE_MISMATCH'));
    }
  });

  test('batching needs a varying first dimension everywhere', () => {
    const batching = { maxBatchSize: 4 };
    expect(() => checkSignature({ ...spec, batching }, spec, 'v')).not.toThrow();
    const scalar = { name: 'sr', datatype: 'INT64', shape: [] } as const;
    const mixed = { inputs: [X, scalar], outputs: [Y] };
    expect(() => checkSignature({ ...mixed, batching }, mixed, 'v')).toThrow(coded('INFERENCE_BATCHING_INVALID', 'sr'));
  });
});

describe('posting tensors', () => {
  test('copies what is not owned, or small, and moves what is owned and large, each buffer once', () => {
    const pool = new Uint8Array(200_000);
    const view = (from: number, to: number) => ({ datatype: 'UINT8' as const, shape: [to - from], data: pool.subarray(from, to) });
    const shared = forPosting({ a: view(0, 100_000) }, false);
    expect(shared.move).not.toContain(pool.buffer);
    expect(shared.tensors['a']?.data.buffer.byteLength).toBe(100_000);
    const owned = forPosting({ a: view(0, 100_000), b: view(100_000, 200_000), c: fp32([1], [1]) }, true);
    expect(owned.move.filter((buffer) => buffer === pool.buffer)).toHaveLength(1);
    expect(owned.tensors['c']?.data.buffer.byteLength).toBe(4);
  });
});
