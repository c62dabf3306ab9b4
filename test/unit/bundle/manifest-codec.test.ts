import { describe, expect, it } from 'vitest';
import { digestOf } from '#shared/bundle/digest.js';
import { type ModelManifest as Manifest, modelManifestSchema as manifestSchema } from '#shared/bundle/model-manifest.js';
import { contentIdentity, decodeManifest, encodeManifest } from '#shared/bundle/manifest-codec.js';
import { modelNameSchema } from '#shared/bundle/names.js';
import { coded } from '../../kit/coded.js';

const digest = digestOf(new Uint8Array([1]));
const manifest: Manifest = manifestSchema.parse({
  schema: 'skerry.manifest/1',
  model: 'vad',
  version: 3,
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 4] }],
  variants: [{ name: 'fp32', format: 'onnx', opset: 17, artifact: digest, requires: { providers: ['cpu'] } }],
  goldenSamples: [{ name: 'sample-1', artifact: digest, tolerance: { absolute: 1e-3, relative: 0 } }],
  artifacts: [{ digest, length: 1, chunks: [[digest, 1]] }],
});
const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const invalid = coded('BUNDLE_MANIFEST_INVALID');

describe('manifest codec', () => {
  it('reads what it writes', () => {
    expect(decodeManifest(encodeManifest(manifest))).toEqual(manifest);
  });

  it('refuses other forms of the same manifest: spaces, other order, a member given twice', () => {
    const text = new TextDecoder().decode(encodeManifest(manifest));
    expect(() => decodeManifest(bytesOf(Object.fromEntries(Object.entries(manifest).toReversed())))).toThrow(invalid);
    expect(() => decodeManifest(new TextEncoder().encode(`${text} `))).toThrow(invalid);
    expect(() => decodeManifest(new TextEncoder().encode(text.replace('"model":"vad"', '"model":"evil","model":"vad"')))).toThrow(invalid);
  });

  it('refuses what the schema does not hold, with every bad path', () => {
    const broken = { ...manifest, version: 0, artifacts: [{ digest, length: 2, chunks: [[digest, 1]] }] };
    expect(() => decodeManifest(bytesOf(broken))).toThrow(/version.*artifacts\.0\.chunks/s);
    expect(() => encodeManifest({ ...manifest, goldenSamples: [] })).toThrow(invalid);
    expect(() => decodeManifest(new Uint8Array(9 * 1024 * 1024))).toThrow(coded('INPUT_TOO_LARGE'));
  });

  it('keeps the name of the agent’s own releases from models', () => {
    expect(() => encodeManifest({ ...manifest, model: modelNameSchema.parse('skerry-agent') })).toThrow(
      /a name that Skerry keeps for its own releases/,
    );
  });

  it('calls two versions the same content exactly when only their number differs', () => {
    const renumbered = manifestSchema.parse({ ...manifest, version: 9 });
    expect(contentIdentity(renumbered)).toBe(contentIdentity(manifest));
    expect(contentIdentity({ ...manifest, description: 'other' })).not.toBe(contentIdentity(manifest));
  });
});
