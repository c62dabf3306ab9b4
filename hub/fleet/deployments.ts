import type { LiveBus } from '#hub/api/live.js';
import type { HubClock } from '#hub/clock/hub-clock.js';
import type { Db, Queryable } from '#hub/store/database.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { capabilitiesSchema, type DeviceId, deviceIdSchema, type Labels } from '#shared/protocol/device.js';
import type { CreatedDeployment, Deployment, DeploymentProgress } from './deployment-view.js';
import { reachOf } from './deployment-reach.js';
import type { DesiredIssuer } from './desired-issuer.js';
import type { DesiredDecision } from './desired-rows.js';
import { reportedOf } from './device-view.js';
import { readLabels } from './labels.js';
import { type Progress, progressOf } from './progress.js';
import { parseSelector } from './selector.js';
import { type Decider, requireUnclaimed, type RolloutClaims } from './rollout-claims.js';
import type { DeploymentsTable } from './tables.js';

export interface NewDeployment {
  readonly model: string;
  readonly version: number;
  readonly selector: string;
  /** Makes devices try a version again that they marked bad. */
  readonly retry: boolean;
  readonly createdBy: string;
  /** Ends rollouts of the model under way on these devices where they stand, in this name. */
  readonly supersede?: Decider;
}

export interface DeploymentsDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly bus: LiveBus;
  readonly issuer: DesiredIssuer;
  readonly claims: RolloutClaims;
  /** Nothing is decided while the clock is not credible: devices could not be told. */
  readonly hubClock: Pick<HubClock, 'require'>;
}

/**
 * Deployments: "devices matching this selector should run this version of the model". The newest decision wins: for each
 * device and model the newest deployment whose selector matches it counts, for devices that enrol or change their labels
 * later as well; a device that stops matching keeps what it has until something newer is decided for it. While a rollout of
 * the model is under way on a device, it alone decides there; once it completed it leaves a deployment.
 */
export class Deployments {
  readonly #deps: DeploymentsDeps;

  constructor(deps: DeploymentsDeps) {
    this.#deps = deps;
  }

  /**
   * Records a deployment and tells every device that matches now. Resolves once that is stored and signed. Throws
   * `VERSION_UNKNOWN`, `SELECTOR_INVALID`, `DESIRED_TOO_LARGE`, and `DEPLOYMENT_OVERLAP` when a rollout of the model is under way on
   * some of the devices and `supersede` was not asked for; then nothing has changed.
   */
  async create(wanted: NewDeployment): Promise<CreatedDeployment> {
    this.#deps.hubClock.require();
    const selector = parseSelector(wanted.selector);
    const matches = (labels: Labels): boolean => selector.matches(labels);
    const { issuer, claims } = this.#deps;
    const superseded = await this.#inTheWay(wanted, matches);
    const { deployment, devices } = await this.#replacing(superseded, wanted, async (trx) => {
      const row = await this.#insert(trx, wanted, selector.toString());
      const matching = await matchingDevices(trx, matches);
      await requireUnclaimed(claims, trx, wanted.model, matching);
      await issuer.write(
        trx,
        matching.map((device) => decisionOf(row, device)),
      );
      return { deployment: row, devices: matching };
    });
    await issuer.issue(devices);
    this.#tell(deployment.id);
    return { ...shown(deployment), matched: devices.length, superseded };
  }

  /** Newest first. */
  async list(limit: number): Promise<Deployment[]> {
    const rows = await this.#deps.db.selectFrom('deployments').selectAll().orderBy('id', 'desc').limit(limit).execute();
    return rows.map(shown);
  }

  /** A deployment with how far each of its devices is. Throws `DEPLOYMENT_UNKNOWN`. */
  async get(id: number): Promise<DeploymentProgress> {
    const row = await this.#deps.db.selectFrom('deployments').selectAll().where('id', '=', id).executeTakeFirst();
    if (row === undefined) throw new SkerryError('DEPLOYMENT_UNKNOWN', `there is no deployment ${id}`);
    const devices = await this.#progress(row);
    const counts = { waiting: 0, fetching: 0, installing: 0, serving: 0, refused: 0, superseded: 0 };
    for (const { state } of devices) counts[state] += 1;
    return { ...shown(row), counts, devices };
  }

  /** Gives a device that enrolled or got other labels what the newest matching deployments say, unless something newer was decided. */
  async adopt(device: DeviceId, labels: Labels): Promise<void> {
    const { db, issuer, claims } = this.#deps;
    const rows = await db.selectFrom('deployments').selectAll().where('withdrawn_at', 'is', null).orderBy('id', 'desc').execute();
    const newest = new Map<string, DeploymentsTableRow>();
    for (const row of rows) {
      if (newest.has(row.model) || !reachOf(row)(device, labels)) continue;
      if (row.rollout === null || (await this.#canRun(row, device))) newest.set(row.model, row);
    }
    const decisions: DesiredDecision[] = [];
    for (const row of newest.values()) {
      if ((await claims.underWay(db, row.model, [device])).length === 0) decisions.push(decisionOf(row, device));
    }
    if (decisions.length > 0) await issuer.set(decisions, { onlyNewer: true });
  }

  /** The rollouts that are to end for it: none unless that was asked for. */
  async #inTheWay({ supersede, model }: NewDeployment, matches: (labels: Labels) => boolean): Promise<string[]> {
    if (supersede === undefined) return [];
    const { db, claims } = this.#deps;
    const inTheWay = await claims.underWay(db, model, await matchingDevices(db, matches));
    return inTheWay.map(({ rollout }) => rollout);
  }

  /** Writes in one transaction with the end of these rollouts, so that neither is without the other after a crash. */
  #replacing<T>(rollouts: readonly string[], wanted: NewDeployment, write: (trx: Queryable) => Promise<T>): Promise<T> {
    const { supersede, model, version } = wanted;
    const { db, claims } = this.#deps;
    if (supersede === undefined || rollouts.length === 0) return db.transaction().execute(write);
    return claims.supersede(rollouts, supersede, `superseded by the deployment of ${model}@${version}`, write);
  }

  async #canRun(row: DeploymentsTableRow, device: DeviceId): Promise<boolean> {
    const { db, claims } = this.#deps;
    const { capabilities } = await db.selectFrom('devices').select('capabilities').where('id', '=', device).executeTakeFirstOrThrow();
    const known = capabilitiesSchema.parse(JSON.parse(capabilities));
    return claims.canRun(modelNameSchema.parse(row.model), versionNumberSchema.parse(row.version), known);
  }

  async #insert(trx: Queryable, wanted: NewDeployment, selector: string): Promise<DeploymentsTableRow> {
    const { model, version } = wanted;
    const manifest = await knownVersion(trx, model, version);
    const last = await trx
      .selectFrom('deployments')
      .select((eb) => eb.fn.max('attempt').as('attempt'))
      .where('model', '=', model)
      .where('version', '=', version)
      .executeTakeFirst();
    return trx
      .insertInto('deployments')
      .values({
        model,
        version,
        manifest_digest: manifest,
        selector,
        attempt: (last?.attempt ?? 0) + (wanted.retry ? 1 : 0),
        created_at: this.#deps.clock.now(),
        created_by: wanted.createdBy,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
  }

  async #progress(row: DeploymentsTableRow): Promise<(Progress & { device: DeviceId })[]> {
    const reaches = reachOf(row);
    const candidates = await this.#deps.db
      .selectFrom('devices')
      .innerJoin('device_states', 'device_states.device', 'devices.id')
      .leftJoin('desired_states', 'desired_states.device', 'devices.id')
      .leftJoin('desired_models', (join) =>
        join.onRef('desired_models.device', '=', 'devices.id').on('desired_models.model', '=', row.model),
      )
      .select(['devices.id', 'devices.labels', 'device_states.reported', 'desired_states.counter', 'desired_models.source'])
      .where('devices.revoked_at', 'is', null)
      .orderBy('devices.id')
      .execute();
    return candidates
      .map((device) => ({ ...device, id: deviceIdSchema.parse(device.id) }))
      .filter((device) => device.source === sourceOf(row) || reaches(device.id, readLabels(device.labels)))
      .map((device) => {
        const { id } = device;
        if (device.source !== sourceOf(row)) return { device: id, state: 'superseded' };
        const wanted = { model: row.model, version: row.version, manifest: row.manifest_digest, counter: device.counter ?? 0 };
        return { device: id, ...progressOf(wanted, reportedOf(device)) };
      });
  }

  #tell(id: number): void {
    this.#deps.bus.publish({ kind: 'deployment.changed', at: new Date(this.#deps.clock.now()).toISOString(), deployment: String(id) });
  }
}

type DeploymentsTableRow = Omit<DeploymentsTable, 'id'> & { readonly id: number };

/** Digest of the version's manifest; throws `VERSION_UNKNOWN`. */
async function knownVersion(db: Queryable, model: string, version: number): Promise<string> {
  const known = await db
    .selectFrom('versions')
    .select('manifest_digest')
    .where('model', '=', model)
    .where('version', '=', version)
    .executeTakeFirst();
  if (known === undefined) throw new SkerryError('VERSION_UNKNOWN', `there is no version ${version} of ${model}`);
  return known.manifest_digest;
}

async function matchingDevices(trx: Queryable, matches: (labels: Labels) => boolean): Promise<DeviceId[]> {
  const rows = await trx.selectFrom('devices').select(['id', 'labels']).where('revoked_at', 'is', null).execute();
  return rows.filter((row) => matches(readLabels(row.labels))).map((row) => deviceIdSchema.parse(row.id));
}

function decisionOf(row: DeploymentsTableRow, device: DeviceId): DesiredDecision {
  return {
    device,
    model: modelNameSchema.parse(row.model),
    version: versionNumberSchema.parse(row.version),
    manifest: digestSchema.parse(row.manifest_digest),
    attempt: row.attempt,
    source: sourceOf(row),
    decidedAt: row.created_at,
  };
}

function sourceOf(row: Pick<DeploymentsTableRow, 'id'>): string {
  return `deployment:${row.id}`;
}

function shown(row: DeploymentsTableRow): Deployment {
  return {
    id: row.id,
    model: modelNameSchema.parse(row.model),
    version: versionNumberSchema.parse(row.version),
    manifest: digestSchema.parse(row.manifest_digest),
    selector: row.selector,
    attempt: row.attempt,
    createdAt: new Date(row.created_at).toISOString(),
    createdBy: row.created_by,
    rollout: row.rollout,
    withdrawnAt: row.withdrawn_at === null ? null : new Date(row.withdrawn_at).toISOString(),
  };
}
