import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, seconds } from '#shared/kernel/time.js';
import { asSkerryError, errnoOf, fromErrorBody, hasCode, SkerryError } from '#shared/kernel/errors.js';
import { narrow, parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { makeFolder, requireOwnFolder } from '#shared/kernel/make-folder.js';
import type { Capabilities, DeviceId, Labels } from '#shared/protocol/device.js';
import {
  type EnrollRequest,
  type EnrollResponse,
  enrollRequestSchema,
  enrollResponseSchema,
  enrolmentStatement,
} from '#shared/protocol/enrolment.js';
import { KEY_FILE_COST, keyFileSecret, openOrCreateKeyFile } from '#shared/trust/key-file.js';
import type { SigningKey } from '#shared/trust/keys.js';
import { type HttpAnswer, postJson } from './http-post.js';
import { type Identity, readIdentity, writeIdentity } from './identity.js';
import { TufTrustClient } from './trust-client.js';
import { TrustMirror } from './trust-mirror.js';

export interface EnrollOptions {
  /** Data folder of the agent; made when it is not there. */
  readonly data: string;
  /** Base URL of the hub: `https://hub.example:8080`. */
  readonly hub: string;
  readonly token: string;
  readonly name?: DeviceId;
  readonly labels: Labels;
  readonly capabilities: Capabilities;
  readonly agentVersion: string;
  /** PEM of the authority that signed the certificates of hub and broker, when it is not one the system trusts. */
  readonly ca?: string;
  /** File holding the secret that seals the device key (default: one made inside the data folder). */
  readonly keySecretFile?: string;
  /** Replaces an identity that is there. The pinned root of trust stays. */
  readonly force?: boolean;
  /** Makes a new key, for a machine whose data folder is a copy of another device's; the key that is there is kept beside it. */
  readonly newKey?: boolean;
  readonly clock: Clock;
  readonly timeout?: Millis;
}

export interface Enrolled {
  readonly identity: Identity;
  /** The hub's clock minus this device's, milliseconds. */
  readonly clockOffset: Millis;
}

const RESPONSE_BYTES = 2 * LIMITS.trustFileBytes;

/** Names in a device's data folder, any of which shows that it is one: keys, identity, settings, store, native libraries, slots. */
const OURS = /^(?:device\.|identity\.json$|agent\.|agents$|native|trust$)/;

/**
 * Makes this device's key, shows the token to the hub, pins the root of trust and keeps the identity it is given. May be
 * run again after any failure: the key stays, and the identity is written last. Throws `SYNC_ALREADY_ENROLLED`,
 * `SYNC_ENROLL_FAILED`, or what the hub refuses it for (`ENROL_...`, `DEVICE_...`).
 */
export async function enroll(options: EnrollOptions): Promise<Enrolled> {
  const { data, clock } = options;
  const before = await identityBefore(options);
  await requireOwnFolder(data, OURS, 'a device');
  await makeFolder(data);
  const key = await deviceKey(options);
  // What the device is called and which certificates it trusts stays, unless it is said anew.
  const labels = { ...before?.labels, ...options.labels };
  const ca = options.ca ?? before?.mqtt.ca;
  const said = { ...options, labels, ...(ca === undefined ? {} : { ca }) };
  const response = await ask(said, buildRequest(said, key));
  requireSameFleet(before, response);
  await pinRoot(options, response);
  const { wsUrl, ...mqtt } = response.mqtt;
  const identity: Identity = {
    schema: 'skerry.identity/1',
    fleet: response.fleet,
    device: response.device,
    labels: response.labels ?? labels,
    hub: options.hub,
    mqtt: { ...mqtt, ...(wsUrl === undefined ? {} : { wsUrl }), ...(ca === undefined ? {} : { ca }) },
    enrolledAt: new Date(clock.now()).toISOString(),
  };
  await writeIdentity(data, identity);
  return { identity, clockOffset: Date.parse(response.time) - clock.now() };
}

/** The identity that is to be replaced, if there is one; one that cannot be read is replaced as well. */
async function identityBefore({ data, force }: EnrollOptions): Promise<Identity | undefined> {
  const found = readIdentity(data);
  if (force === true) return found.catch(() => undefined);
  if ((await found) !== undefined) throw new SkerryError('SYNC_ALREADY_ENROLLED', `${data} already holds a device identity`);
  return undefined;
}

/** Root, desired state and models of the folder belong to its fleet: another one needs a folder of its own. */
function requireSameFleet(before: Identity | undefined, { fleet }: EnrollResponse): void {
  if (before === undefined || before.fleet === fleet) return;
  throw new SkerryError(
    'SYNC_FLEET_MISMATCH',
    `this folder belongs to fleet ${before.fleet}, the hub to fleet ${fleet}; nothing was changed`,
  );
}

async function deviceKey({ data, keySecretFile, newKey, clock }: EnrollOptions): Promise<SigningKey> {
  const own = join(data, 'device.secret');
  const secret = await keyFileSecret(keySecretFile ?? own, { create: keySecretFile === undefined });
  const file = join(data, 'device.key');
  if (newKey === true) await rename(file, `${file}.before-${clock.now()}`).catch(ignoreMissing);
  return openOrCreateKeyFile(file, secret, KEY_FILE_COST);
}

function ignoreMissing(cause: unknown): void {
  if (errnoOf(cause) !== 'ENOENT') throw asSkerryError(cause, 'IO_FAILED');
}

function buildRequest(options: EnrollOptions, key: SigningKey): EnrollRequest {
  const { token, name, labels, capabilities, agentVersion } = options;
  const claim = { token, ...(name === undefined ? {} : { device: name }), publicKey: key.publicKey, labels, capabilities, agentVersion };
  const proof = Buffer.from(key.sign(enrolmentStatement(claim))).toString('hex');
  return narrow(enrollRequestSchema, { ...claim, proof }, 'enrolment request');
}

const refusalSchema = z.object({ code: z.string(), message: z.string(), action: z.string().optional() });

async function ask(options: EnrollOptions, request: EnrollRequest): Promise<EnrollResponse> {
  const answer = await send(options, request);
  if (answer.status >= 200 && answer.status < 300) {
    return parseJson(enrollResponseSchema, answer.body, {
      what: 'the answer of the hub',
      maxBytes: RESPONSE_BYTES,
      code: 'SYNC_ENROLL_FAILED',
    });
  }
  throw refusal(answer);
}

function refusal(answer: HttpAnswer): SkerryError {
  const options = { what: 'the refusal of the hub', maxBytes: RESPONSE_BYTES };
  try {
    return fromErrorBody(parseJson(refusalSchema, answer.body, options));
  } catch (cause) {
    return new SkerryError('SYNC_ENROLL_FAILED', `the hub answered with status ${answer.status}`, { cause });
  }
}

async function send({ hub, ca, timeout }: EnrollOptions, request: EnrollRequest): Promise<HttpAnswer> {
  const url = new URL('api/v1/enroll', hub.endsWith('/') ? hub : `${hub}/`);
  try {
    return await postJson(url, request, { ...(ca === undefined ? {} : { ca }), timeout: timeout ?? seconds(20), maxBytes: RESPONSE_BYTES });
  } catch (cause) {
    throw new SkerryError('SYNC_ENROLL_FAILED', `no answer from ${url.origin}: ${inPlainWords(asSkerryError(cause).message)}`, { cause });
  }
}

/** OpenSSL's own words for an https URL of a port that speaks http are two lines that name neither. */
function inPlainWords(reason: string): string {
  return reason.includes('wrong version number') ? 'it does not speak TLS, so its URL may begin with http://' : reason.trim();
}

async function pinRoot({ data, clock, force }: EnrollOptions, response: EnrollResponse): Promise<void> {
  const client = new TufTrustClient({ folder: join(data, 'trust'), fleet: response.fleet, clock, mirror: new TrustMirror(clock) });
  try {
    await client.pin(Buffer.from(response.root, 'base64'));
  } catch (cause) {
    // A device that enrols again keeps the root it has: it walks from there to any newer one, and to no other.
    if (force === true && hasCode(cause, 'TRUST_ROOT_PINNED')) return;
    throw cause;
  }
}
