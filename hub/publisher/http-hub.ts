import { createReadStream } from 'node:fs';
import { pipeline, Readable, Transform } from 'node:stream';
import { z } from 'zod';
import { minutes, seconds } from '#shared/kernel/time.js';
import { fromErrorBody, hasCode, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { MISSING_CODES } from '#shared/trust/missing-codes.js';
import { encodeTrustUpdate, type HubPublicKeys, hubPublicKeysSchema } from '#shared/trust/update.js';
import type { BuiltFile } from './build.js';
import { type PublishedVersion, publishedVersionSchema, type PublisherHub, retiredVersionsSchema } from './hub-port.js';
import { type Answer, send, type SendRequest } from './http-send.js';

export interface HubAddress {
  /** `http://hub:8080`, with or without a path before `/api`. */
  readonly url: string;
  readonly token: string;
}

const versionsSchema = z.object({ versions: z.array(publishedVersionSchema).max(1_000_000) });
const errorBodySchema = z.object({
  code: z.string(),
  message: z.string(),
  action: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

const IDLE = seconds(60);
/** The hub reads every artifact again before it answers. */
const CHECKING = minutes(30);
const BUFFER_BYTES = 256 * 1024;

/** A hub over its HTTP API. Every refusal of the hub is thrown as the error it names. */
export function httpPublisherHub(address: HubAddress): PublisherHub {
  const base = address.url.replace(/\/+$/, '');

  const call = async (method: SendRequest['method'], path: string, options: Partial<SendRequest> = {}): Promise<Answer> => {
    const headers = { authorization: `Bearer ${address.token}`, accept: 'application/json', ...options.headers };
    const answer = await send({ idle: IDLE, ...options, url: new URL(`${base}/api/v1${path}`), method, headers });
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw refusal(answer, method, path);
  };
  const sendJson = (method: 'PUT' | 'POST', path: string, value: unknown, options: Partial<SendRequest> = {}): Promise<Answer> =>
    call(method, path, {
      ...options,
      headers: { 'content-type': 'application/json' },
      body: new TextEncoder().encode(JSON.stringify(value)),
    });
  const getJson = async <T>(path: string, schema: z.ZodType<T>): Promise<T> => {
    const { body } = await call('GET', path);
    return parseJson(schema, body, {
      what: `answer of the hub to GET ${path}`,
      maxBytes: LIMITS.apiBodyBytes,
      code: 'HUB_ANSWER_MALFORMED',
    });
  };

  return {
    async metadata(file) {
      const answer = await orNotFound(call('GET', `/trust/metadata/${encodeURIComponent(file)}`));
      return answer?.body;
    },
    hubKeys: (): Promise<HubPublicKeys> => getJson('/trust/hub-keys', hubPublicKeysSchema),
    async putTrust(update) {
      // New roots may bring anything along; without them the lesser right to replace targets is enough.
      const name = update.roots === undefined ? 'targets' : 'root';
      await sendJson('PUT', `/trust/${name}`, encodeTrustUpdate(update), { idle: CHECKING });
    },
    async versions(model): Promise<readonly PublishedVersion[]> {
      const answer = await orNotFound(getJson(`/models/${encodeURIComponent(model)}`, versionsSchema));
      return answer?.versions ?? [];
    },
    async hasArtifact(digest) {
      return (await orNotFound(call('HEAD', `/artifacts/${digest}`))) !== undefined;
    },
    async putArtifact(file, onBytes) {
      await call('PUT', `/artifacts/${file.artifact.digest}`, {
        headers: { 'content-type': 'application/octet-stream' },
        body: { stream: counted(file, onBytes), length: file.artifact.length },
      });
    },
    ...versionCalls(sendJson),
  };
}

type SendJson = (method: 'POST', path: string, value: unknown, options: Partial<SendRequest>) => Promise<Answer>;

/** Requests that change the versions of a model; the hub checks everything before it answers. */
function versionCalls(sendJson: SendJson): Pick<PublisherHub, 'createVersion' | 'retireVersions' | 'previewRetirement'> {
  return {
    async retireVersions(model, { versions, role, files }) {
      await sendJson('POST', `/models/${encodeURIComponent(model)}/retire`, { versions, role, files: inBase64(files) }, { idle: CHECKING });
    },
    async previewRetirement(model, versions) {
      const { body } = await sendJson(
        'POST',
        `/models/${encodeURIComponent(model)}/retire`,
        { versions, dryRun: true },
        { idle: CHECKING },
      );
      return parseJson(retiredVersionsSchema, body, {
        what: 'answer of the hub',
        maxBytes: LIMITS.apiBodyBytes,
        code: 'HUB_ANSWER_MALFORMED',
      });
    },
    async createVersion(model, upload) {
      const manifest = Buffer.from(upload.manifest).toString('base64');
      const body = { manifest, role: upload.role, files: inBase64(upload.files) };
      await sendJson('POST', `/models/${encodeURIComponent(model)}/versions`, body, { idle: CHECKING });
    },
  };
}

function inBase64(files: Readonly<Record<string, Uint8Array>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([role, bytes]) => [role, Buffer.from(bytes).toString('base64')]));
}

/** The file as a stream that tells how much of it has passed. */
function counted(file: BuiltFile, onBytes: (sent: number) => void): Readable {
  const { source } = file;
  const stream = 'path' in source ? createReadStream(source.path, { highWaterMark: BUFFER_BYTES }) : Readable.from([source.bytes]);
  let sent = 0;
  const counter = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      sent += chunk.byteLength;
      onBytes(sent);
      done(null, chunk);
    },
  });
  // `pipeline` destroys both sides whichever fails; the reader of the counter sees the error.
  pipeline(stream, counter, () => undefined);
  return counter;
}

/** The error the hub's answer names; a HEAD has no body, and something else than a hub may answer. */
function refusal(answer: Answer, method: string, path: string): SkerryError {
  try {
    const options = { what: 'error of the hub', maxBytes: LIMITS.apiBodyBytes };
    return fromErrorBody(omitUndefined(parseJson(errorBodySchema, answer.body, options)));
  } catch {
    if (answer.status === 404) return new SkerryError('API_NOT_FOUND', `the hub has nothing at ${path}`);
    if (answer.status === 401) return new SkerryError('API_UNAUTHENTICATED', 'the hub does not accept this token');
    return new SkerryError(
      'HUB_ANSWER_MALFORMED',
      `the hub answered ${method} ${path} with status ${answer.status} and no error of its own`,
    );
  }
}

function omitUndefined(body: z.infer<typeof errorBodySchema>): {
  code: string;
  message: string;
  action?: string | undefined;
  details?: Readonly<Record<string, unknown>>;
} {
  const { details, ...rest } = body;
  return details === undefined ? rest : { ...rest, details };
}

/** `undefined` where the hub says that it has no such thing. */
async function orNotFound<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (cause) {
    const absent = ['API_NOT_FOUND', 'MODEL_UNKNOWN', 'ARTIFACT_UNKNOWN'] as const;
    if ([...absent, ...MISSING_CODES].some((code) => hasCode(cause, code))) return undefined;
    throw cause;
  }
}
