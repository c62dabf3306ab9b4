import { randomBytes } from 'node:crypto';
import type { LiveBus } from '#hub/kernel/live-bus.js';
import { hashPassword, newPassword } from '#hub/broker/credentials.js';
import { mosquittoHash } from '#hub/broker/mosquitto.js';
import type { Db, Queryable } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { narrow } from '#shared/kernel/json.js';
import { type DeviceId, deviceIdSchema, type FleetId, type Labels, labelsSchema } from '#shared/protocol/device.js';
import { type EnrollRequest, type EnrollResponse, enrolmentStatement } from '#shared/protocol/enrolment.js';
import { publicKeySchema, verifySignature } from '#shared/trust/keys.js';
import type { EnrolmentTokens } from './enrolment-tokens.js';
import { effectiveLabels, type HubLabels, readHubLabels, readLabels } from './labels.js';
import type { DevicesTable } from '#hub/store/tables/fleet-tables.js';

interface EnrolmentDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly fleet: FleetId;
  readonly tokens: EnrolmentTokens;
  readonly bus: LiveBus;
  /** Where devices find the broker; `host` is how the device called the hub, for a hub that was told no name of its own. */
  readonly endpoints: (host: string) => { readonly url: string; readonly wsUrl?: string };
  /** The exact bytes of the newest root metadata. */
  readonly pinnedRoot: () => Promise<Uint8Array>;
  /** Called after the commit: give the device what it should run, tell an external broker its password. */
  readonly onEnrolled: (device: DeviceId) => Promise<void>;
}

/** Lets devices in: one token, one proof of the private key, and the device has an identity, credentials and a root of trust. */
export class Enrolment {
  readonly #deps: EnrolmentDeps;

  constructor(deps: EnrolmentDeps) {
    this.#deps = deps;
  }

  /**
   * Enrols a device, gives one that enrols again with the same key new credentials, or replaces one by a new key. Throws `ENROL_PROOF_INVALID`,
   * `ENROL_TOKEN_INVALID`, `ENROL_TOKEN_BOUND`, `DEVICE_ID_TAKEN`, `DEVICE_REPLACED` or `DEVICE_REVOKED`; a refused enrolment
   * uses no token.
   */
  async enroll(request: EnrollRequest, host: string): Promise<EnrollResponse> {
    checkProof(request);
    const { db, clock, fleet, tokens, bus } = this.#deps;
    const root = await this.#deps.pinnedRoot();
    const password = newPassword();
    const { id: device, labels } = await db.transaction().execute(async (trx) => {
      const grant = await tokens.claim(trx, request.token, request.publicKey);
      const known = await knownDevice(trx, request, grant.device);
      const id = known?.id ?? deviceIdSchema.parse(request.device ?? `device-${randomBytes(5).toString('hex')}`);
      const hubLabels = { ...known?.hubLabels, ...grant.labels };
      // A device that says nothing of itself is still what it was: a new card, or `enroll --force`.
      const own = Object.keys(request.labels).length === 0 && known !== undefined ? known.deviceLabels : request.labels;
      const row = {
        ...describe({ ...request, labels: own }, grant.id, hubLabels),
        ...secrets(password),
        // The same key is the same machine: what it measured, and what it was told, is of the time since it first enrolled.
        enrolled_at: known?.publicKey === request.publicKey ? known.enrolledAt : clock.now(),
        revoked_at: null,
      };
      if (known === undefined) await insertDevice(trx, { id, public_key: request.publicKey, ...row });
      else await renewDevice(trx, id, { public_key: request.publicKey, ...row }, known.publicKey);
      return { id, labels: own };
    });
    bus.publish({ kind: 'device.enrolled', at: new Date(clock.now()).toISOString(), device });
    await this.#deps.onEnrolled(device);
    const { url, wsUrl } = this.#deps.endpoints(host);
    return {
      device,
      fleet,
      labels,
      mqtt: { url, ...(wsUrl === undefined ? {} : { wsUrl }), username: device, password },
      root: Buffer.from(root).toString('base64'),
      time: new Date(clock.now()).toISOString(),
    };
  }
}

function checkProof(request: EnrollRequest): void {
  const key = publicKeySchema.parse(request.publicKey);
  if (!verifySignature(key, enrolmentStatement(request), Buffer.from(request.proof, 'hex'))) {
    throw new SkerryError('ENROL_PROOF_INVALID', 'the signature of the enrolment request does not match the public key');
  }
}

interface KnownDevice {
  readonly id: DeviceId;
  readonly publicKey: string;
  readonly hubLabels: HubLabels;
  readonly deviceLabels: Labels;
  readonly enrolledAt: EpochMillis;
}

/**
 * The device that enrols again; undefined for a new one. A key has one id, an id one key. A token made for a device
 * (`replaces`) lets a new key take the place of the one it had, also of a removed device.
 */
async function knownDevice(db: Queryable, request: EnrollRequest, replaces: DeviceId | undefined): Promise<KnownDevice | undefined> {
  if (replaces !== undefined && request.device !== undefined && request.device !== replaces) {
    throw new SkerryError('ENROL_TOKEN_BOUND', `the enrolment token is for ${replaces}, not for ${request.device}`);
  }
  const device = request.device ?? replaces;
  await refuseRetired(db, request.publicKey);
  const rows = await db
    .selectFrom('devices')
    .select(['id', 'public_key', 'revoked_at', 'hub_labels', 'device_labels', 'enrolled_at'])
    .where((eb) => eb.or([eb('public_key', '=', request.publicKey), eb('id', '=', device ?? '')]))
    .execute();
  for (const row of rows) {
    if (device !== undefined && row.id !== device) throw new SkerryError('DEVICE_ID_TAKEN', `this key is already enrolled as ${row.id}`);
    if (row.id === replaces) continue;
    if (row.public_key !== request.publicKey)
      throw new SkerryError('DEVICE_ID_TAKEN', `the name ${row.id} belongs to a device with another key`);
    if (row.revoked_at !== null) throw new SkerryError('DEVICE_REVOKED', `the device ${row.id} was removed`);
  }
  const [row] = rows;
  if (row === undefined) return undefined;
  return {
    id: deviceIdSchema.parse(row.id),
    publicKey: row.public_key,
    hubLabels: readHubLabels(row.hub_labels),
    deviceLabels: readLabels(row.device_labels),
    enrolledAt: row.enrolled_at,
  };
}

async function refuseRetired(db: Queryable, publicKey: string): Promise<void> {
  const retired = await db.selectFrom('retired_keys').select('device').where('public_key', '=', publicKey).executeTakeFirst();
  if (retired !== undefined) throw new SkerryError('DEVICE_REPLACED', `another machine has replaced this one as ${retired.device}`);
}

function describe(request: EnrollRequest, tokenId: string, hubLabels: HubLabels) {
  return {
    device_labels: JSON.stringify(request.labels),
    hub_labels: JSON.stringify(hubLabels),
    labels: JSON.stringify(narrow(labelsSchema, effectiveLabels(request.labels, hubLabels), 'labels')),
    capabilities: JSON.stringify(request.capabilities),
    agent_version: request.agentVersion,
    token_id: tokenId,
  };
}

function secrets(password: string) {
  return { password_sha256: Buffer.from(hashPassword(password)).toString('hex'), password_mosquitto: mosquittoHash(password) };
}

/** Nothing heard yet; a device that enrols again may have lost its counters, so what it says next is new. */
const SILENT = {
  reported: null,
  reported_boot: 0,
  reported_boot_id: null,
  reported_at: 0,
  reported_received_at: null,
  presence: null,
  presence_session: null,
  presence_boot: 0,
  presence_boot_id: null,
  presence_connection: 0,
  presence_changed_at: null,
  starts: null,
} as const;

async function insertDevice(db: Queryable, row: DevicesTable): Promise<void> {
  await db.insertInto('devices').values(row).execute();
  await db
    .insertInto('device_states')
    .values({ device: row.id, revision: 0, ...SILENT })
    .execute();
}

/** Another key is another machine: nothing that the one before it counted is held against it, and its key lets nobody in any more. */
async function renewDevice(db: Queryable, id: DeviceId, row: Omit<DevicesTable, 'id'>, keyBefore: string): Promise<void> {
  if (keyBefore !== row.public_key) {
    await db.insertInto('retired_keys').values({ public_key: keyBefore, device: id, retired_at: row.enrolled_at }).execute();
    await db.deleteFrom('ingest_positions').where('device', '=', id).execute();
    await db.deleteFrom('device_marks').where('device', '=', id).execute();
  }
  // What was signed before is signed anew, under a counter above the last: the retained statement may be gone, or be for another key.
  await db.updateTable('desired_states').set({ content_sha256: '' }).where('device', '=', id).execute();
  await db.updateTable('devices').set(row).where('id', '=', id).execute();
  await db
    .updateTable('device_states')
    .set((eb) => ({ ...SILENT, revision: eb('revision', '+', 1) }))
    .where('device', '=', id)
    .execute();
}
