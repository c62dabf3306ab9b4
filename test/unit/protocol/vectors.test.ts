import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readRecord } from '#hub/telemetry/record.js';
import { canonicalJson } from '#shared/bundle/canonical-json.js';
import { digestOf } from '#shared/bundle/digest.js';
import { decodeManifest, encodeManifest } from '#shared/bundle/manifest-codec.js';
import { decodeMessage, type MessageChannel } from '#shared/protocol/codec.js';
import { reportedSchema, unknownCommandKind } from '#shared/protocol/messages.js';
import { desiredStateSchema, directorKeysSchema } from '#shared/trust/desired.js';
import { verifyDesired } from '#shared/trust/decide/desired-verify.js';
import { coded } from '../../kit/coded.js';
import { kindOfFile, readDocument, writeDocument } from '../../vectors/documents.js';
import { LATER, withLaterMembers } from '../../vectors/later.js';
import { jsonSchemaOf } from '../../vectors/reader-schema.js';
import { readSet } from '../../vectors/sets.js';

// Documents that real programs of a release wrote, and what a later release would write (test/vectors/README.md).

const DEVICE = 'cam-1';
const CHANNELS: ReadonlySet<string> = new Set<MessageChannel>([
  'reported',
  'presence',
  'telemetry',
  'event',
  'fetch',
  'held',
  'ack',
  'cmd',
]);
/** What this release has to refuse, and how. */
const REFUSED: Readonly<Record<string, ReturnType<typeof coded>>> = {
  'manifest.requires.json': coded('FEATURE_MISSING', 'mirroring'),
  'manifest.unknown-kind.json': coded('FEATURE_MISSING', 'kind-pipeline'),
  'manifest.newer.json': coded('FORMAT_NEWER', 'skerry.manifest/2'),
  'cmd.unknown.json': coded('PROTOCOL_MESSAGE_INVALID'),
};

/** Reads a document as the programs do. */
function read(file: string, bytes: Uint8Array): unknown {
  const name = file.slice(0, file.indexOf('.'));
  if (name === 'manifest') return decodeManifest(bytes);
  if (CHANNELS.has(name)) return decodeMessage(name as MessageChannel, bytes, DEVICE);
  return kindOfFile(file).schema.parse(readDocument(file, bytes));
}

const sets = new Map(await Promise.all(['release-0.1', 'later'].map(async (set) => [set, await readSet(set)] as const)));
const later = sets.get('later') ?? new Map<string, Uint8Array>();
const recorded = sets.get('release-0.1') ?? new Map<string, Uint8Array>();
const files = [...sets].flatMap(([set, documents]) => [...documents].map(([file, bytes]) => ({ set, file, bytes })));
const accepted = files.filter(({ file }) => REFUSED[file] === undefined);

describe('recorded documents', () => {
  it.each(accepted)('$set/$file is read', ({ file, bytes }) => {
    expect(() => read(file, bytes)).not.toThrow();
  });

  it.each(accepted.filter(({ file }) => kindOfFile(file).keeps && !file.startsWith('desired.requires')))(
    '$set/$file is passed on whole',
    ({ file, bytes }) => {
      expect(read(file, bytes)).toEqual(readDocument(file, bytes));
    },
  );

  it.each(Object.entries(REFUSED))('later/%s is refused by name', (file, refusal) => {
    expect(() => read(file, later.get(file) ?? new Uint8Array())).toThrow(refusal);
  });

  it('every object of a later document has a member that this release does not know', () => {
    for (const [file, bytes] of later)
      expect([file, JSON.stringify(readDocument(file, bytes))]).toEqual([file, expect.stringContaining(LATER)]);
  });

  it('every recorded document has one of a later release, but those that people write', () => {
    const without = [...recorded.keys()].filter((file) => !later.has(file)).toSorted();
    expect(without).toEqual(['envelope.candidate.json', 'rollout-document.canary.json', 'rollout-document.trial.json']);
  });

  it.each([...sets.keys()])('%s: the statement is verified, and its bytes are those that were signed', (set) => {
    const documents = sets.get(set) ?? new Map<string, Uint8Array>();
    const statement = documents.get('desired.model.json') ?? new Uint8Array();
    const { fleet, issuedAt } = desiredStateSchema.parse(readDocument('desired.model.json', statement));
    const { keys } = directorKeysSchema.parse(readDocument('director.keys.json', documents.get('director.keys.json') ?? new Uint8Array()));
    const context = { fleet, device: DEVICE, directorKeys: keys, last: undefined, now: Date.parse(issuedAt) };
    const { payload } = verifyDesired(documents.get('envelope.model.json') ?? new Uint8Array(), context);
    expect(Buffer.from(payload).equals(statement)).toBe(true);
  });

  it.each(['manifest.model.json', 'manifest.agent.json'])('later/%s has the same bytes, and so the same digest, on every side', (file) => {
    const bytes = later.get(file) ?? new Uint8Array();
    expect(digestOf(encodeManifest(decodeManifest(bytes)))).toBe(digestOf(bytes));
    expect(Buffer.from(canonicalJson(readDocument(file, bytes))).equals(bytes)).toBe(true);
  });

  it('a command of a later release is passed over, and an event is kept under its name', () => {
    expect(unknownCommandKind(later.get('cmd.unknown.json') ?? new Uint8Array())).toBe('take-picture');
    const event = readRecord('event', DEVICE as never, later.get('event.unknown.json') ?? new Uint8Array());
    expect(event).toMatchObject({ kind: 'event', message: { kind: 'model.quantised' } });
  });
});

describe('the check itself', () => {
  const bytes = recorded.get('reported.serving.json') ?? new Uint8Array();
  const report = readDocument('reported.serving.json', bytes);

  it('a new member that must be there, or a word that is no longer known, fails at the recorded documents', () => {
    expect(reportedSchema.extend({ gpus: z.int() }).safeParse(report).success).toBe(false);
    expect(reportedSchema.extend({ agentVersion: z.enum(['9']) }).safeParse(report).success).toBe(false);
    expect(reportedSchema.extend({ gpus: z.int().optional() }).safeParse(report).success).toBe(true);
  });

  it('a member that is no longer written fails at the recorded readers, a new one does not', () => {
    const reads = new Ajv2020({ strict: false, validateFormats: false }).compile(jsonSchemaOf(reportedSchema));
    const { outbox: _, ...without } = report as Record<string, unknown>;
    expect([reads(report), reads(withLaterMembers(reportedSchema, report)), reads(without)]).toEqual([true, true, false]);
  });

  it('a document that is written again is the one that was read', () => {
    for (const { file, bytes: exact } of files) {
      if (!kindOfFile(file).keeps || file.startsWith('desired.') || file.startsWith('held.') || file.startsWith('reported.')) continue;
      expect(Buffer.from(writeDocument(file, readDocument(file, exact))).equals(exact)).toBe(true);
    }
  });
});
