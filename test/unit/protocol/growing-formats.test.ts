import { encode as encodeCbor } from 'cborg';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { errorBodySchema } from '#hub/api/error-schema.js';
import { liveEventSchema, readLiveEvent } from '#hub/kernel/live-bus.js';
import { deviceDetailSchema, deviceListSchema } from '#hub/fleet/device-view.js';
import { deploymentProgressSchema } from '#hub/fleet/deployment-view.js';
import { hubStateSchema } from '#hub/hub-state.js';
import { versionDetailSchema } from '#hub/registry/views.js';
import { currentSchema } from '#hub/registry/tuf/publication.js';
import { rolloutRecordSchema } from '#hub/rollouts/record.js';
import { rolloutDetailSchema } from '#hub/rollouts/views.js';
import { parseRollout } from '../../kit/rollout-text.js';
import { readRecord } from '#hub/telemetry/record.js';
import { whyIncapable } from '#hub/rollouts/decide/capability.js';
import { statusSchema } from '#agent/cli/local-api.js';
import { identitySchema } from '#agent/sync/identity.js';
import { canonicalJson } from '#shared/bundle/canonical-json.js';
import { lackingFeatures } from '#shared/bundle/features.js';
import { decodeManifest, encodeManifest } from '#shared/bundle/manifest-codec.js';
import { manifestSchema, manifestTargetCustomSchema } from '#shared/bundle/manifest.js';
import { fromErrorBody } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { decodeMessage, encodeMessage } from '#shared/protocol/codec.js';
import { capabilitiesSchema } from '#shared/protocol/device.js';
import { enrollRequestSchema, enrollResponseSchema } from '#shared/protocol/enrolment.js';
import {
  ackSchema,
  cmdSchema,
  eventSchema,
  fetchSchema,
  presenceSchema,
  reportedSchema,
  telemetrySchema,
  trustIndexSchema,
  unknownCommandKind,
} from '#shared/protocol/messages.js';
import { DESIRED_PAYLOAD_TYPE, desiredStateSchema, directorKeysSchema } from '#shared/trust/desired.js';
import { verifyDesired } from '#shared/trust/decide/desired-verify.js';
import { envelopeSchema, signEnvelope, verifyEnvelope } from '#shared/trust/dsse.js';
import { generateSigningKey } from '#shared/trust/keys.js';
import { hubPublicKeysSchema } from '#shared/trust/update.js';
import { coded } from '../../kit/coded.js';
import { CAPABILITIES, eventOf, reportedOf, telemetryOf } from '../../kit/messages.js';
import { strictPaths } from '../../kit/schema-walk.js';

// The rule of docs/PROTOCOL.md, "How formats grow".

/** Every document that two releases of Skerry exchange, or that one leaves for another. */
const EXCHANGED = {
  reported: reportedSchema,
  presence: presenceSchema,
  telemetry: telemetrySchema,
  event: eventSchema,
  fetch: fetchSchema,
  ack: ackSchema,
  command: cmdSchema,
  trustIndex: trustIndexSchema,
  capabilities: capabilitiesSchema,
  enrolmentRequest: enrollRequestSchema,
  enrolmentAnswer: enrollResponseSchema,
  desired: desiredStateSchema,
  directorKeys: directorKeysSchema,
  envelope: envelopeSchema,
  manifest: manifestSchema,
  manifestTarget: manifestTargetCustomSchema,
  identity: identitySchema,
  agentStatus: statusSchema,
  hubKeys: hubPublicKeysSchema,
  hubState: hubStateSchema,
  trustState: currentSchema,
  rollout: rolloutRecordSchema,
  error: errorBodySchema,
  liveEvent: liveEventSchema,
  deviceList: deviceListSchema,
  device: deviceDetailSchema,
  deployment: deploymentProgressSchema,
  version: versionDetailSchema,
  rolloutAnswer: rolloutDetailSchema,
} satisfies Record<string, z.ZodType>;

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

describe('24 S: a member that a later release adds is no error', () => {
  it.each(Object.entries(EXCHANGED))('%s: no object in it refuses what it does not know', (_name, schema) => {
    expect(strictPaths(schema)).toEqual([]);
  });

  it('the walk finds a strict object (so that the test above can fail)', () => {
    expect(strictPaths(z.array(z.object({ a: z.strictObject({ b: z.int() }).optional() })))).toEqual(['(root).[].a.?']);
  });

  it('a report keeps it, wherever it stands, so that the hub can pass it on', () => {
    const said = reportedOf('dev-1', { models: [] });
    const later = { ...said, cameras: 2, disk: { ...said.disk, inodes: 9 }, capabilities: { ...said.capabilities, npu: { tops: 4 } } };
    expect(decodeMessage('reported', json(later), 'dev-1')).toEqual(later);
  });

  it('events, telemetry, acknowledgements and commands are taken without it', () => {
    expect(readRecord('event', 'dev-1' as never, json({ ...eventOf('dev-1', 1), mood: 'good' })).kind).toBe('event');
    const telemetry = telemetryOf('dev-1', { seq: 1, values: [1] });
    const later = { ...telemetry, sun: true, windows: telemetry.windows.map((window) => ({ ...window, joules: 3 })) };
    expect(readRecord('telemetry', 'dev-1' as never, encodeCbor(later)).kind).toBe('telemetry');
    const ack = { device: 'dev-1', records: [{ boot: 1, seq: 1, stored: 'tape' }], hub: 'b' };
    expect(decodeMessage('ack', json(ack), 'dev-1')).toEqual({ device: 'dev-1', records: [{ boot: 1, seq: 1 }] });
    const cmd = { device: 'dev-1', id: 'c', expires: '2027-01-01T00:00:00Z', kind: 'report', urgent: true };
    expect(decodeMessage('cmd', json(cmd), 'dev-1')).not.toHaveProperty('urgent');
  });

  it('an event, a command and a live event of an unknown kind are kept or passed over, and known ones are not', () => {
    expect(decodeMessage('event', json({ ...eventOf('dev-1', 1), kind: 'model.quantised' }), 'dev-1').kind).toBe('model.quantised');
    expect(unknownCommandKind(json({ kind: 'restart' }))).toBe('restart');
    expect(unknownCommandKind(json({ kind: 'flush' }))).toBeUndefined();
    expect(unknownCommandKind(json('flush'))).toBeUndefined();
    expect(readLiveEvent(json({ kind: 'weather.changed', at: 'now' }))).toBeUndefined();
    expect(() => readLiveEvent(json({ kind: 'device.removed' }))).toThrow(coded('HUB_ANSWER_MALFORMED'));
  });

  it('what we write is exact: a report has only members that its schema names', () => {
    const bytes = encodeMessage('reported', reportedOf('dev-1', { models: [] }));
    expect(Object.keys(JSON.parse(Buffer.from(bytes).toString()) as object).every((name) => name in reportedSchema.shape)).toBe(true);
  });

  it('an own member called __proto__ changes nothing', () => {
    const bytes = new TextEncoder().encode(`{"__proto__":{"boot":9},${JSON.stringify(reportedOf('dev-1', { models: [] })).slice(1)}`);
    expect(decodeMessage('reported', bytes, 'dev-1').boot).toBe(reportedOf('dev-1', { models: [] }).boot);
  });

  it('documents that a person writes stay strict, so that typing errors are found', () => {
    expect(() => parseRollout('model: m\nversion: 2\ncohort: a=b\nwaves: ["100%"]\nbakee: 5m\n')).toThrow(
      coded('ROLLOUT_INVALID', 'bakee'),
    );
  });
});

const director = generateSigningKey();
const context = {
  fleet: 'home',
  device: 'dev-1',
  directorKeys: [director.publicKey],
  last: undefined,
  now: Date.parse('2026-05-01T12:00:00Z'),
};
const entry = { model: 'vad', version: 2, manifest: 'ab'.repeat(32), attempt: 0 };
const statement = {
  schema: 'skerry.desired/1',
  fleet: 'home',
  device: 'dev-1',
  counter: 5,
  issuedAt: '2026-05-01T11:00:00Z',
  expires: '2026-05-01T13:00:00Z',
  models: [entry],
};
const signed = (value: unknown): Uint8Array => signEnvelope(DESIRED_PAYLOAD_TYPE, json(value), [director]);

describe('24 S: signed documents', () => {
  it('a desired state keeps what it does not know, in the bytes that were signed', () => {
    const later = { ...statement, hint: 'eco', models: [{ ...entry, region: 'eu' }] };
    const verdict = verifyDesired(signed(later), context);
    expect(verdict.desired).toMatchObject({ hint: 'eco', models: [{ model: 'vad', region: 'eu' }] });
    expect(Buffer.from(verdict.payload).toString()).toBe(JSON.stringify(later));
  });

  it('an entry that requires an unknown feature is read by its head only, whatever form the rest has', () => {
    const later = {
      ...statement,
      models: [
        { ...entry, requires: ['mirroring'], candidate: { action: 'mirror', to: 7 } },
        { ...entry, model: 'kws' },
      ],
    };
    const { desired, payload } = verifyDesired(signed(later), context);
    expect(desired.models).toEqual([
      { ...entry, requires: ['mirroring'] },
      { ...entry, model: 'kws' },
    ]);
    expect(Buffer.from(payload).toString()).toContain('"mirror"');
    expect(() => verifyDesired(signed({ ...statement, models: [{ ...entry, candidate: { action: 'mirror' } }] }), context)).toThrow(
      coded('TRUST_DESIRED_FORMAT'),
    );
  });

  it('an envelope may have more members, and signatures that name no key', () => {
    const envelope = JSON.parse(Buffer.from(signed(statement)).toString()) as { signatures: object[] };
    const later = { ...envelope, log: { index: 4 }, signatures: [{ sig: 'AAAA' }, { ...envelope.signatures[0], algorithm: 'ed25519' }] };
    const options = { payloadType: DESIRED_PAYLOAD_TYPE, keys: [director.publicKey], maxBytes: 10_000, what: 'statement' };
    expect(Buffer.from(verifyEnvelope(json(later), options)).toString()).toBe(JSON.stringify(statement));
  });

  const digest = 'cd'.repeat(32);
  const manifest = {
    schema: 'skerry.manifest/1',
    model: 'vad',
    version: 3,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4], unit: 'volt' }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 4] }],
    variants: [{ name: 'fp32', format: 'onnx', opset: 17, artifact: digest, requires: { providers: ['cpu'], cores: 2 } }],
    goldenSamples: [{ name: 'sample-1', artifact: digest, tolerance: { absolute: 1e-3, relative: 0 } }],
    artifacts: [{ digest, length: 1, chunks: [[digest, 1]] }],
    licence: { spdx: 'MIT' },
  };

  it('a manifest keeps it: the same bytes, the same digest', () => {
    const bytes = canonicalJson(manifest);
    const read = decodeManifest(bytes);
    expect(read).toEqual(manifest);
    expect(Buffer.from(encodeManifest(read)).equals(bytes)).toBe(true);
  });

  it('a manifest that requires an unknown feature is refused by its name before anything else of it is read', () => {
    const tflite = { ...manifest, requires: ['format-tflite'], variants: [{ format: 'tflite' }] };
    expect(() => decodeManifest(canonicalJson(tflite))).toThrow(coded('FEATURE_MISSING', 'format-tflite'));
    expect(() => decodeManifest(canonicalJson({ ...tflite, requires: undefined }))).toThrow(coded('BUNDLE_MANIFEST_INVALID'));
  });

  it('the plan of a rollout knows the devices that lack a feature', () => {
    const version = { requires: ['mirroring'], variants: [{ name: 'fp32', opset: 17, requires: { providers: ['cpu'] } }] };
    expect(whyIncapable(version, CAPABILITIES)).toEqual({
      why: 'needs mirroring, which its agent does not have yet',
      lacks: ['mirroring'],
    });
    expect(whyIncapable(version, { ...CAPABILITIES, features: ['mirroring'] })).toBeUndefined();
    expect(lackingFeatures(['a', 'b'], ['b'])).toEqual(['a']);
  });
});

describe('24 W: a document of a later format', () => {
  const schema = z.object({ schema: z.literal('skerry.thing/2'), size: z.int() });
  const read = (value: unknown): unknown => parseJson(schema, json(value), { what: 'thing.json', maxBytes: 1_000, code: 'TRUST_KEY_FILE' });

  it('is named as such; an older or another one is not what was expected', () => {
    expect(() => read({ schema: 'skerry.thing/3' })).toThrow(coded('FORMAT_NEWER', 'skerry.thing/3'));
    for (const other of ['skerry.thing/1', 'skerry.other/3', 'thing', 7]) {
      expect(() => read({ schema: other, size: 1 })).toThrow(coded('TRUST_KEY_FILE'));
    }
  });
});

it('24 S: an error code of a later release keeps its name and its advice', () => {
  expect(fromErrorBody({ code: 'MODEL_RETIRED', message: 'vad is retired', action: 'Choose another model.' })).toEqual(
    coded('PEER_ERROR', 'MODEL_RETIRED: vad is retired Choose another model.'),
  );
});
