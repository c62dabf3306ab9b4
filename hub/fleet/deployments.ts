import type { LiveBus } from '#hub/kernel/live-bus.js';
import type { HubClock } from '#hub/clock/hub-clock.js';
import type { Db, Queryable } from '#hub/store/database.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { capabilitiesSchema, type DeviceId, deviceIdSchema, type Labels } from '#shared/protocol/device.js';
import type { CreatedDeployment, Deployment, DeploymentPlan, DeploymentProgress, WithdrawnDeployment } from './deployment-view.js';
import { decisionOf, type DeploymentRow, deploymentRow, planWithdrawal, takeOff, type WithdrawOptions } from './deployment-rows.js';
import { devicesOf } from './deployment-devices.js';
import { DeploymentReaches } from './deployment-reaches.js';
import type { DesiredIssuer } from './desired-issuer.js';
import { incapableDevice, type IncapableDevice } from './decide/incapable.js';
import { readLabels } from './labels.js';
import { parseSelector } from './decide/selector.js';
import { type Decider, requireUnclaimed, type RolloutClaims } from './rollout-claims.js';

interface NewDeployment {
  readonly model: string;
  /** Null takes the model off the devices. */
  readonly version: number | null;
  readonly selector: string;
  /** Makes devices try a version again that they marked bad. */
  readonly retry: boolean;
  readonly createdBy: string;
  /** Ends rollouts of the model under way on these devices where they stand, in this name. */
  readonly supersede?: Decider;
}

interface DeploymentsDeps {
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
  readonly #reaches = new DeploymentReaches();

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
    const { deployment, matching } = await this.#replacing(superseded, wanted, async (trx) => {
      const row = await this.#insert(trx, wanted, selector.toString());
      const found = await matchingDevices(trx, matches);
      await requireUnclaimed(claims, trx, wanted.model, idsOf(found));
      await this.#write(trx, row, idsOf(found));
      return { deployment: row, matching: found };
    });
    await issuer.issue(idsOf(matching));
    this.#tell(deployment.id);
    return { ...shown(deployment), matched: matching.length, incapable: await this.#incapable(wanted, matching), superseded };
  }

  /** What `create` would do, without doing it; throws what it would throw. */
  async plan(wanted: NewDeployment): Promise<DeploymentPlan> {
    this.#deps.hubClock.require();
    const { db, claims } = this.#deps;
    const selector = parseSelector(wanted.selector);
    const matches = (labels: Labels): boolean => selector.matches(labels);
    if (wanted.version === null) await knownModel(db, wanted.model);
    else await knownVersion(db, wanted.model, wanted.version);
    const matching = await matchingDevices(db, matches);
    const superseded = await this.#inTheWay(wanted, matches);
    if (wanted.supersede === undefined) await requireUnclaimed(claims, db, wanted.model, idsOf(matching));
    return {
      model: modelNameSchema.parse(wanted.model),
      version: versionNumberSchema.nullable().parse(wanted.version),
      selector: selector.toString(),
      matched: matching.length,
      incapable: await this.#incapable(wanted, matching),
      superseded,
    };
  }

  /** Devices that cannot run the version now, and why. They are told of it all the same: a device takes it up once it can. */
  async #incapable({ model, version }: NewDeployment, devices: readonly MatchingDevice[]): Promise<IncapableDevice[]> {
    if (version === null || devices.length === 0) return [];
    const whyNot = await this.#deps.claims.capability(modelNameSchema.parse(model), versionNumberSchema.parse(version));
    return devices.flatMap(({ id, capabilities }) => {
      const incapable = whyNot(capabilitiesSchema.parse(JSON.parse(capabilities)));
      return incapable === undefined ? [] : [incapableDevice(id, incapable)];
    });
  }

  async #write(trx: Queryable, row: DeploymentRow, devices: readonly DeviceId[]): Promise<void> {
    const decisions = devices.flatMap((device) => decisionOf(row, device) ?? []);
    await this.#deps.issuer.write(trx, decisions);
    if (decisions.length === 0) await takeOff(trx, row.model, devices);
  }

  /**
   * From now on the deployment counts for nobody. Devices that follow it follow the newest other one that is for them, and lose the model
   * where there is none; with `keep` they keep what they have. `dryRun` only says so. Throws `DEPLOYMENT_UNKNOWN`, and `DEPLOYMENT_OVERLAP`
   * while a rollout decides about the model on some of the devices.
   */
  async withdraw(id: number, options: WithdrawOptions): Promise<WithdrawnDeployment> {
    const { db, issuer, claims, clock } = this.#deps;
    const withdrawal = await db.transaction().execute(async (trx) => {
      const row = await deploymentRow(trx, id);
      const planned = await planWithdrawal(trx, row, options.keep, (next, device) => this.#isFor(next, device));
      await requireUnclaimed(claims, trx, row.model, planned.devices);
      if (options.dryRun || row.withdrawn_at !== null) return { row, planned };
      const change = { withdrawn_at: clock.now(), withdrawn_by: options.by };
      await trx.updateTable('deployments').set(change).where('id', '=', id).execute();
      await issuer.write(trx, planned.decisions);
      await takeOff(trx, row.model, planned.takenOff);
      return { row: { ...row, ...change }, planned };
    });
    const { row, planned } = withdrawal;
    if (!options.dryRun) {
      await issuer.issue(planned.devices);
      this.#tell(id);
    }
    const fellBack = planned.decisions.map(({ device, version }) => ({ device, version }));
    return { ...shown(row), fellBack, takenOff: [...planned.takenOff], kept: [...planned.kept] };
  }

  /** Newest first. */
  async list(limit: number, withdrawn = true): Promise<Deployment[]> {
    const all = this.#deps.db.selectFrom('deployments').selectAll().orderBy('id', 'desc').limit(limit);
    const rows = await (withdrawn ? all : all.where('withdrawn_at', 'is', null)).execute();
    return rows.map(shown);
  }

  /** A deployment with how far each of its devices is. Throws `DEPLOYMENT_UNKNOWN`. */
  async get(id: number): Promise<DeploymentProgress> {
    const row = await deploymentRow(this.#deps.db, id);
    const devices = await devicesOf(this.#deps.db, row);
    const counts = { waiting: 0, fetching: 0, installing: 0, serving: 0, removed: 0, refused: 0, unsupported: 0, superseded: 0 };
    for (const { state } of devices) counts[state] += 1;
    return { ...shown(row), counts, devices };
  }

  /** Gives a device that enrolled or got other labels what the newest matching deployments say, unless something newer was decided. */
  async adopt(device: DeviceId, labels: Labels): Promise<void> {
    const { db, issuer, claims } = this.#deps;
    const standing = await db
      .selectFrom('deployments')
      .select(['id', 'model'])
      .where('withdrawn_at', 'is', null)
      .orderBy('id', 'desc')
      .execute();
    const newest = new Map<string, DeploymentRow>();
    for (const { id, model } of standing) {
      if (newest.has(model)) continue;
      const reaches = await this.#reaches.of(id, () => deploymentRow(db, id));
      if (!reaches(device, labels)) continue;
      const row = await deploymentRow(db, id);
      if (await this.#isFor(row, device)) newest.set(model, row);
    }
    const free: DeploymentRow[] = [];
    for (const row of newest.values()) if ((await claims.underWay(db, row.model, [device])).length === 0) free.push(row);
    await db.transaction().execute(async (trx) => {
      const decisions = free.flatMap((row) => decisionOf(row, device) ?? []);
      await issuer.write(trx, decisions, { onlyNewer: true });
      for (const row of free) if (row.version === null) await takeOff(trx, row.model, [device], row.created_at);
    });
    if (free.length > 0) await issuer.issue([device]);
  }

  /** What a rollout left is for devices that can run it; what somebody deployed is for all that match. */
  async #isFor(row: DeploymentRow, device: DeviceId): Promise<boolean> {
    return row.rollout === null || row.version === null || this.#canRun(row.model, row.version, device);
  }

  /** The rollouts that are to end for it: none unless that was asked for. */
  async #inTheWay({ supersede, model }: NewDeployment, matches: (labels: Labels) => boolean): Promise<string[]> {
    if (supersede === undefined) return [];
    const { db, claims } = this.#deps;
    const inTheWay = await claims.underWay(db, model, idsOf(await matchingDevices(db, matches)));
    return inTheWay.map(({ rollout }) => rollout);
  }

  /** Writes in one transaction with the end of these rollouts, so that neither is without the other after a crash. */
  #replacing<T>(rollouts: readonly string[], wanted: NewDeployment, write: (trx: Queryable) => Promise<T>): Promise<T> {
    const { supersede, model, version } = wanted;
    const { db, claims } = this.#deps;
    if (supersede === undefined || rollouts.length === 0) return db.transaction().execute(write);
    return claims.supersede(
      rollouts,
      supersede,
      version === null ? `superseded by taking ${model} off` : `superseded by the deployment of ${model}@${version}`,
      write,
    );
  }

  async #canRun(model: string, version: number, device: DeviceId): Promise<boolean> {
    const { db, claims } = this.#deps;
    const { capabilities } = await db.selectFrom('devices').select('capabilities').where('id', '=', device).executeTakeFirstOrThrow();
    const known = capabilitiesSchema.parse(JSON.parse(capabilities));
    const whyNot = await claims.capability(modelNameSchema.parse(model), versionNumberSchema.parse(version));
    return whyNot(known) === undefined;
  }

  async #insert(trx: Queryable, wanted: NewDeployment, selector: string): Promise<DeploymentRow> {
    const { model, version } = wanted;
    const manifest = version === null ? await knownModel(trx, model) : await knownVersion(trx, model, version);
    const last = await trx
      .selectFrom('deployments')
      .select((eb) => eb.fn.max('attempt').as('attempt'))
      .where('model', '=', model)
      .where('version', 'is', version)
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

  #tell(id: number): void {
    this.#deps.bus.publish({ kind: 'deployment.changed', at: new Date(this.#deps.clock.now()).toISOString(), deployment: String(id) });
  }
}

/** Throws `MODEL_UNKNOWN`; a deployment that takes a model off has no version. */
async function knownModel(db: Queryable, model: string): Promise<null> {
  const known = await db.selectFrom('models').select('name').where('name', '=', model).executeTakeFirst();
  if (known === undefined) throw new SkerryError('MODEL_UNKNOWN', `there is no model "${model}"`);
  return null;
}

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

interface MatchingDevice {
  readonly id: DeviceId;
  /** As stored. */
  readonly capabilities: string;
}

async function matchingDevices(trx: Queryable, matches: (labels: Labels) => boolean): Promise<MatchingDevice[]> {
  const rows = await trx.selectFrom('devices').select(['id', 'labels', 'capabilities']).where('revoked_at', 'is', null).execute();
  return rows.filter((row) => matches(readLabels(row.labels))).map((row) => ({ ...row, id: deviceIdSchema.parse(row.id) }));
}

function idsOf(devices: readonly MatchingDevice[]): DeviceId[] {
  return devices.map(({ id }) => id);
}

function shown(row: DeploymentRow): Deployment {
  return {
    id: row.id,
    model: modelNameSchema.parse(row.model),
    version: versionNumberSchema.nullable().parse(row.version),
    manifest: digestSchema.nullable().parse(row.manifest_digest),
    selector: row.selector,
    attempt: row.attempt,
    createdAt: new Date(row.created_at).toISOString(),
    createdBy: row.created_by,
    rollout: row.rollout,
    withdrawnAt: row.withdrawn_at === null ? null : new Date(row.withdrawn_at).toISOString(),
    withdrawnBy: row.withdrawn_by,
  };
}
