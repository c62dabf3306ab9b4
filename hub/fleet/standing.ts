import type { Queryable } from '#hub/store/database.js';
import { type Digest, digestSchema, type ModelName, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { type Capabilities, capabilitiesSchema, type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import { writeDecision } from './desired-rows.js';
import { readLabels } from './labels.js';
import { reachOf } from './decide/deployment-reach.js';
import { parseSelector } from './decide/selector.js';

/** What a completed rollout leaves behind: its version stays wished for, by deployments like any other. */
export interface Standing {
  readonly rollout: string;
  readonly model: ModelName;
  readonly version: VersionNumber;
  readonly manifest: Digest;
  readonly attempt: number;
  /** One deployment each. */
  readonly selectors: readonly string[];
  /** Devices that a person took out of the rollout: what it leaves is not for them either. */
  readonly excluded: readonly DeviceId[];
  readonly canRun: (device: Capabilities) => boolean;
  readonly at: EpochMillis;
}

/** Devices per statement: SQLite binds at most 32,766 values (sqlite.org/limits.html). */
const PAGE = 1000;

/**
 * Stores the deployments a rollout leaves, in the caller's transaction. Devices that have the rollout's wish keep it as it is
 * (nothing is signed anew) and belong to the deployment now; those that never heard of it get it. Devices that cannot run
 * the version are left out. Returns the devices to issue for once that is committed.
 */
export async function leaveStanding(trx: Queryable, standing: Standing): Promise<DeviceId[]> {
  const { rollout, model, version, manifest, attempt, at } = standing;
  await withdrawStanding(trx, rollout, at);
  const excluded = new Set(standing.excluded);
  const members = (await membersOf(trx, model)).filter(({ device }) => !excluded.has(device));
  const given = new Set<DeviceId>();
  const untold: DeviceId[] = [];
  for (const selector of standing.selectors) {
    const row = {
      model,
      version,
      manifest_digest: manifest,
      selector,
      attempt,
      created_at: at,
      created_by: sourceOf(rollout),
      rollout,
      excluded: excluded.size === 0 ? null : JSON.stringify([...excluded]),
    };
    const { id } = await trx.insertInto('deployments').values(row).returning('id').executeTakeFirstOrThrow();
    const parsed = parseSelector(selector);
    const matching = members.filter(({ device, labels }) => !given.has(device) && parsed.matches(readLabels(labels)));
    for (const { device } of matching) given.add(device);
    const source = `deployment:${id}`;
    const isTold = (member: Member): boolean => member.source === sourceOf(rollout) && member.version === version;
    const has = matching.filter(isTold);
    for (let start = 0; start < has.length; start += PAGE) {
      const page = has.slice(start, start + PAGE).map(({ device }) => device);
      await trx.updateTable('desired_models').set({ source }).where('model', '=', model).where('device', 'in', page).execute();
    }
    for (const member of matching) {
      if (isTold(member) || !standing.canRun(capabilitiesSchema.parse(JSON.parse(member.capabilities)))) continue;
      await writeDecision(trx, { device: member.device, model, version, manifest, attempt, source, decidedAt: at }, false);
      untold.push(member.device);
    }
  }
  return untold;
}

/** From now on what the rollout left counts for nobody; devices keep what they have until something is decided for them. */
export async function withdrawStanding(trx: Queryable, rollout: string, at: EpochMillis): Promise<void> {
  await trx.updateTable('deployments').set({ withdrawn_at: at }).where('rollout', '=', rollout).where('withdrawn_at', 'is', null).execute();
}

/** A version a device is to run. */
export interface Otherwise {
  readonly version: VersionNumber;
  readonly manifest: Digest;
}

/**
 * Devices whose newest wish for the model is the rollout's own or of a deployment it left, and what the other deployments would have
 * each run instead; null for nothing.
 */
export async function heldBy(db: Queryable, rollout: string, model: ModelName): Promise<ReadonlyMap<DeviceId, Otherwise | null>> {
  const deployments = await db.selectFrom('deployments').selectAll().where('model', '=', model).orderBy('id', 'desc').execute();
  const own = new Set([sourceOf(rollout), ...deployments.filter((row) => row.rollout === rollout).map((row) => `deployment:${row.id}`)]);
  const others = deployments
    .filter((row) => row.rollout !== rollout && row.withdrawn_at === null)
    .map((row) => ({ row, reaches: reachOf(row) }));
  const held = new Map<DeviceId, Otherwise | null>();
  for (const { device, labels, source } of await membersOf(db, model)) {
    if (source === null || !own.has(source)) continue;
    const next = others.find(({ reaches }) => reaches(device, readLabels(labels)))?.row;
    const otherwise =
      next?.version === null || next?.manifest_digest === null
        ? undefined
        : next && { version: versionNumberSchema.parse(next.version), manifest: digestSchema.parse(next.manifest_digest) };
    held.set(device, otherwise ?? null);
  }
  return held;
}

interface Member {
  readonly device: DeviceId;
  readonly labels: string;
  readonly capabilities: string;
  /** Of the newest wish for the model; null without one. */
  readonly source: string | null;
  readonly version: number | null;
}

async function membersOf(db: Queryable, model: ModelName): Promise<Member[]> {
  const rows = await db
    .selectFrom('devices')
    .leftJoin('desired_models', (join) => join.onRef('desired_models.device', '=', 'devices.id').on('desired_models.model', '=', model))
    .select(['devices.id', 'devices.labels', 'devices.capabilities', 'desired_models.source', 'desired_models.version'])
    .where('devices.revoked_at', 'is', null)
    .execute();
  return rows.map(({ id, ...row }) => ({ ...row, device: deviceIdSchema.parse(id) }));
}

function sourceOf(rollout: string): string {
  return `rollout:${rollout}`;
}
