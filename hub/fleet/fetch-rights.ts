import type { Db, Queryable } from '#hub/store/database.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { DesiredState } from '#shared/trust/desired.js';
import type { FetchRightsTable } from '#hub/store/tables/fleet-tables.js';

/** Versions of one model a device may fetch: the newest it was told of. It may have to fetch one again that it rolls back to. */
const VERSIONS_PER_MODEL = 4;

/**
 * What each device may fetch: manifests and artifacts of the versions its own desired states named, of models it still has. A device
 * that was never told of a model can neither ask for its pieces nor listen to them.
 */
export class FetchRights {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /** Records what desired states allow, in the transaction that stores them; what they no longer name is withdrawn. */
  async record(trx: Queryable, statements: readonly DesiredState[], now: EpochMillis): Promise<void> {
    const named = statements.flatMap((statement) => rightsOf(statement, now));
    if (named.length > 0) {
      await trx
        .insertInto('fetch_rights')
        .values(named)
        .onConflict((conflict) =>
          conflict.columns(['device', 'model', 'version']).doUpdateSet((eb) => ({ told_at: eb.ref('excluded.told_at') })),
        )
        .execute();
    }
    const devices = statements.map(({ device }) => device);
    const rows = await trx.selectFrom('fetch_rights').selectAll().where('device', 'in', devices).execute();
    for (const { device, model, version } of outdatedRights(rows, statements)) {
      await trx.deleteFrom('fetch_rights').where('device', '=', device).where('model', '=', model).where('version', '=', version).execute();
    }
  }

  /** True when the device may have the blob with this digest, a manifest or an artifact. */
  async mayFetch(device: string, digest: string): Promise<boolean> {
    const row = await this.#db
      .selectFrom('fetch_rights')
      .innerJoin('versions', (join) =>
        join.onRef('versions.model', '=', 'fetch_rights.model').onRef('versions.version', '=', 'fetch_rights.version'),
      )
      .select('fetch_rights.model')
      .where('device', '=', device)
      .where((eb) =>
        eb.or([
          eb('versions.manifest_digest', '=', digest),
          eb.exists(
            eb
              .selectFrom('version_artifacts')
              .select('digest')
              .whereRef('version_artifacts.model', '=', 'fetch_rights.model')
              .whereRef('version_artifacts.version', '=', 'fetch_rights.version')
              .where('version_artifacts.digest', '=', digest),
          ),
        ]),
      )
      .limit(1)
      .executeTakeFirst();
    return row !== undefined;
  }
}

function rightsOf({ device, models }: DesiredState, now: EpochMillis): FetchRightsTable[] {
  return models.flatMap(({ model, version, candidate }) =>
    [version, ...(candidate === undefined ? [] : [candidate.version])].map((each) => ({ device, model, version: each, told_at: now })),
  );
}

/** Rights to withdraw: of models the newest statement no longer names, and of versions beyond the newest few of a model. */
function outdatedRights(rows: readonly FetchRightsTable[], statements: readonly DesiredState[]): readonly FetchRightsTable[] {
  const models = new Map<DeviceId | string, ReadonlySet<string>>(
    statements.map(({ device, models: named }) => [device, new Set(named.map(({ model }) => model))]),
  );
  const kept = new Map<string, number>();
  return rows
    .toSorted((a, b) => b.told_at - a.told_at || b.version - a.version)
    .filter(({ device, model }) => {
      if (models.get(device)?.has(model) !== true) return true;
      const key = `${device} ${model}`;
      const count = (kept.get(key) ?? 0) + 1;
      kept.set(key, count);
      return count > VERSIONS_PER_MODEL;
    });
}
