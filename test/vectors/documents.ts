import { decode as decodeCbor, encode as encodeCbor } from 'cborg';
import type { z } from 'zod';
import { identitySchema } from '#agent/sync/identity.js';
import { statusSchema } from '#agent/cli/local-api.js';
import { errorBodySchema } from '#hub/api/error-schema.js';
import { createdDeploymentSchema, deploymentProgressSchema } from '#hub/fleet/deployment-view.js';
import { deviceDetailSchema, deviceListSchema } from '#hub/fleet/device-view.js';
import { hubStateSchema } from '#hub/hub-state.js';
import { versionDetailSchema } from '#hub/registry/views.js';
import { planSchema } from '#hub/rollouts/decide/plan.js';
import { rolloutDocumentSchema } from '#hub/rollouts/document.js';
import { rolloutRecordSchema } from '#hub/rollouts/record.js';
import { planViewSchema, rolloutDetailSchema } from '#hub/rollouts/views.js';
import { canonicalJson } from '#shared/bundle/canonical-json.js';
import { manifestSchema } from '#shared/bundle/manifest.js';
import { enrollRequestSchema, enrollResponseSchema } from '#shared/protocol/enrolment.js';
import {
  ackSchema,
  cmdSchema,
  eventSchema,
  fetchSchema,
  heldSchema,
  presenceSchema,
  reportedSchema,
  telemetrySchema,
  trustIndexSchema,
} from '#shared/protocol/messages.js';
import { desiredStateSchema, directorKeysSchema } from '#shared/trust/desired.js';
import { envelopeSchema } from '#shared/trust/dsse.js';

/** How a document stands in a file: JSON, canonical JSON, or CBOR. */
const FORMS = {
  json: { extension: 'json', read: readJson, write: (value: unknown): Uint8Array => Buffer.from(`${JSON.stringify(value)}\n`) },
  canonical: { extension: 'json', read: readJson, write: canonicalJson },
  cbor: {
    extension: 'cbor',
    read: (bytes: Uint8Array): unknown => decodeCbor(bytes),
    write: (value: unknown): Uint8Array => encodeCbor(value),
  },
} as const;

interface DocumentKind {
  readonly schema: z.ZodType;
  readonly form: keyof typeof FORMS;
  /** True where it is passed on, stored whole or verified: what a reader does not know is kept. */
  readonly keeps: boolean;
  /** True where a person writes it: no release writes it for another to read, and it stays strict, so that typing errors are found. */
  readonly byPerson?: boolean;
}

const kind = (schema: z.ZodType, keeps: boolean, form: keyof typeof FORMS = 'json'): DocumentKind => ({ schema, form, keeps });

/** Every document that two releases of Skerry exchange; a file of the vectors is called after one, `<kind>.<what it shows>`. */
export const DOCUMENTS: Readonly<Record<string, DocumentKind>> = {
  manifest: kind(manifestSchema, true, 'canonical'),
  // The statement inside the envelope beside it.
  desired: kind(desiredStateSchema, true),
  envelope: kind(envelopeSchema, false),
  director: kind(directorKeysSchema, true),
  'trust-index': kind(trustIndexSchema, false),
  reported: kind(reportedSchema, true),
  presence: kind(presenceSchema, false),
  telemetry: kind(telemetrySchema, false, 'cbor'),
  event: kind(eventSchema, false),
  fetch: kind(fetchSchema, false),
  held: kind(heldSchema, true),
  ack: kind(ackSchema, false),
  cmd: kind(cmdSchema, false),
  'enroll-request': kind(enrollRequestSchema, false),
  'enroll-answer': kind(enrollResponseSchema, false),
  identity: kind(identitySchema, true),
  'hub-state': kind(hubStateSchema, false),
  'agent-status': kind(statusSchema, false),
  'rollout-document': { ...kind(rolloutDocumentSchema, false), byPerson: true },
  'rollout-record': kind(rolloutRecordSchema.omit({ plan: true }), true),
  'rollout-plan': kind(planSchema, true),
  'api-rollout': kind(rolloutDetailSchema, false),
  'api-plan': kind(planViewSchema, false),
  'api-device': kind(deviceDetailSchema, false),
  'api-devices': kind(deviceListSchema, false),
  'api-created-deployment': kind(createdDeploymentSchema, false),
  'api-deployment': kind(deploymentProgressSchema, false),
  'api-version': kind(versionDetailSchema, false),
  'api-error': kind(errorBodySchema, false),
};

/** The kind of the document in a file. */
export function kindOfFile(file: string): DocumentKind {
  const name = file.slice(0, file.indexOf('.'));
  const found = DOCUMENTS[name];
  if (found === undefined) throw new Error(`no kind of documents is called "${name}"`);
  return found;
}

/** File name of a document: `of('cmd', 'report')` is `cmd.report.json`. */
export function fileName(name: string, shows: string): string {
  const file = `${name}.${shows}.`;
  return `${file}${FORMS[kindOfFile(file).form].extension}`;
}

export function readDocument(file: string, bytes: Uint8Array): unknown {
  return FORMS[kindOfFile(file).form].read(bytes);
}

export function writeDocument(file: string, value: unknown): Uint8Array {
  return FORMS[kindOfFile(file).form].write(value);
}

function readJson(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString('utf8'));
}
