import { randomBytes } from 'node:crypto';
import type { LiveBus } from '#hub/api/live.js';
import { hashPassword, newPassword } from '#hub/broker/credentials.js';
import { mosquittoHash } from '#hub/broker/mosquitto.js';
import type { Db, Queryable } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { narrow } from '#shared/kernel/json.js';
import { type DeviceId, deviceIdSchema, type FleetId, labelsSchema } from '#shared/protocol/device.js';
import { type EnrollRequest, type EnrollResponse, enrolmentStatement } from '#shared/protocol/enrolment.js';
import { publicKeySchema, verifySignature } from '#shared/trust/keys.js';
import type { EnrolmentTokens } from './enrolment-tokens.js';
import { effectiveLabels, type HubLabels, readHubLabels } from './labels.js';
import type { DevicesTable } from './tables.js';

export interface EnrolmentDeps {
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
   * Enrols a device, or gives a device that enrols again with the same key new credentials. Throws `ENROL_PROOF_INVALID`,
   * `ENROL_TOKEN_INVALID`, `DEVICE_ID_TAKEN` or `DEVICE_REVOKED`; a refused enrolment uses no token.
   */
  async enroll(request: EnrollRequest, host: string): Promise<EnrollResponse> {
    checkProof(request);
    const { db, clock, fleet, tokens, bus } = this.#deps;
    const root = await this.#deps.pinnedRoot();
    const password = newPassword();
    const device = await db.transaction().execute(async (trx) => {
      const grant = await tokens.claim(trx, request.token);
      const known = await knownDevice(trx, request);
      const id = known?.id ?? deviceIdSchema.parse(request.device ?? `device-${randomBytes(5).toString('hex')}`);
      const hubLabels = { ...known?.hubLabels, ...grant.labels };
      const row = { ...describe(request, grant.id, hubLabels), ...secrets(password), enrolled_at: clock.now(), revoked_at: null };
      if (known === undefined) await insertDevice(trx, { id, public_key: request.publicKey, ...row });
      else await renewDevice(trx, id, row);
      return id;
    });
    bus.publish({ kind: 'device.enrolled', at: new Date(clock.now()).toISOString(), device });
    await this.#deps.onEnrolled(device);
    const { url, wsUrl } = this.#deps.endpoints(host);
    return {
      device,
      fleet,
      mqtt: { url, ...(wsUrl === undefined ? {} : { wsUrl }), username: device, password },
      root: Buffer.from(root).toString('base64'),
      time: new Date(clock.now()).toISOString(),
    };
  }
}

function checkProof(request: EnrollRequest): void {
  const key = publicKeySchema.parse(request.publicKey);
  if (!verifySignature(key, enrolmentStatement(request), Buffer.from(request.proof, 'hex'))) {
    throw new SkerryError('ENROL_PROOF_INVALID', 'the signature over the enrolment statement does not fit the public key');
  }
}

/** The device that enrols again; undefined for a new one. A key has one id, an id one key. */
async function knownDevice(
  db: Queryable,
  request: EnrollRequest,
): Promise<{ readonly id: DeviceId; readonly hubLabels: HubLabels } | undefined> {
  const rows = await db
    .selectFrom('devices')
    .select(['id', 'public_key', 'revoked_at', 'hub_labels'])
    .where((eb) => eb.or([eb('public_key', '=', request.publicKey), eb('id', '=', request.device ?? '')]))
    .execute();
  for (const row of rows) {
    if (row.public_key !== request.publicKey) throw new SkerryError('DEVICE_ID_TAKEN', `the id ${row.id} belongs to another key`);
    if (row.revoked_at !== null) throw new SkerryError('DEVICE_REVOKED', `the device ${row.id} was revoked`);
    if (request.device !== undefined && row.id !== request.device) {
      throw new SkerryError('DEVICE_ID_TAKEN', `this key is enrolled already, as ${row.id}`);
    }
  }
  const [row] = rows;
  return row === undefined ? undefined : { id: deviceIdSchema.parse(row.id), hubLabels: readHubLabels(row.hub_labels) };
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

async function renewDevice(db: Queryable, id: DeviceId, row: Omit<DevicesTable, 'id' | 'public_key'>): Promise<void> {
  await db.updateTable('devices').set(row).where('id', '=', id).execute();
  await db
    .updateTable('device_states')
    .set((eb) => ({ ...SILENT, revision: eb('revision', '+', 1) }))
    .where('device', '=', id)
    .execute();
}
