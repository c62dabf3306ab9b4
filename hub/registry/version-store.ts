import { manifestSchema, type Manifest } from '#shared/bundle/manifest.js';
import { contentIdentity } from '#shared/bundle/manifest-codec.js';
import type { Db, Queryable } from '#hub/store/database.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { DeletedVersionsTable, VersionsTable } from '#hub/store/tables/registry-tables.js';
import type { Candidate } from './version-checks.js';

/** A version's row without its manifest, which may be megabytes. */
export type VersionRow = Omit<VersionsTable, 'manifest'>;

interface Acceptance {
  readonly role: string;
  readonly publisher: string;
  readonly publishedAt: EpochMillis;
  readonly acceptedAt: EpochMillis;
}

/** Queries of the registry's tables. */
export class VersionStore {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  async insert(candidate: Candidate, acceptance: Acceptance): Promise<void> {
    const { manifest, bytes, digest } = candidate;
    await this.#db.transaction().execute(async (tx) => {
      await tx
        .insertInto('models')
        .values({ name: manifest.model, created_at: acceptance.acceptedAt })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .execute();
      await tx
        .insertInto('versions')
        .values({
          model: manifest.model,
          version: manifest.version,
          manifest_digest: digest,
          manifest: Buffer.from(bytes),
          content_identity: contentIdentity(manifest),
          bytes: manifest.artifacts.reduce((sum, artifact) => sum + artifact.length, 0),
          variants: JSON.stringify(manifest.variants.map((variant) => variant.name)),
          role: acceptance.role,
          published_at: acceptance.publishedAt,
          accepted_at: acceptance.acceptedAt,
          publisher: acceptance.publisher,
        })
        .execute();
      for (const artifact of manifest.artifacts) {
        await tx
          .insertInto('artifacts')
          .values({ digest: artifact.digest, length: artifact.length, stored_at: acceptance.acceptedAt })
          .onConflict((conflict) => conflict.column('digest').doNothing())
          .execute();
        await tx
          .insertInto('version_artifacts')
          .values({ model: manifest.model, version: manifest.version, digest: artifact.digest })
          .execute();
      }
    });
  }

  async find(model: string, version: number): Promise<VersionRow | undefined> {
    return this.#rows().where('model', '=', model).where('version', '=', version).executeTakeFirst();
  }

  /** Newest first. */
  async ofModel(model: string): Promise<readonly VersionRow[]> {
    return this.#rows().where('model', '=', model).orderBy('version', 'desc').execute();
  }

  async document(manifestDigest: string): Promise<Manifest | undefined> {
    const bytes = await this.manifestBytes(manifestDigest);
    if (bytes === undefined) return undefined;
    return parseJson(manifestSchema, bytes, { what: 'stored manifest', maxBytes: LIMITS.manifestBytes });
  }

  #rows() {
    return this.#db
      .selectFrom('versions')
      .select([
        'model',
        'version',
        'manifest_digest',
        'content_identity',
        'bytes',
        'variants',
        'role',
        'published_at',
        'accepted_at',
        'publisher',
      ]);
  }

  async models(): Promise<readonly { name: string; created_at: EpochMillis; versions: number; newest: number }[]> {
    const rows = await this.#db
      .selectFrom('models')
      .innerJoin('versions', 'versions.model', 'models.name')
      .select((eb) => ['models.name', 'models.created_at', eb.fn.countAll().as('versions'), eb.fn.max('versions.version').as('newest')])
      .groupBy(['models.name', 'models.created_at'])
      .orderBy('models.name')
      .execute();
    return rows.map((row) => ({ ...row, versions: Number(row.versions) }));
  }

  async createdAt(model: string): Promise<EpochMillis | undefined> {
    const row = await this.#db.selectFrom('models').select('created_at').where('name', '=', model).executeTakeFirst();
    return row?.created_at;
  }

  /** Every number that was ever used, deleted versions included: what a deleted one recalled stays recalled. */
  async numbers(model: string): Promise<readonly number[]> {
    const versions = this.#db.selectFrom('versions').select('version').where('model', '=', model);
    const deleted = this.#db.selectFrom('deleted_versions').select('version').where('model', '=', model);
    return (await versions.unionAll(deleted).execute()).map((row) => row.version);
  }

  /** The highest number that was ever used. */
  async newest(model: string): Promise<number> {
    return Math.max(0, ...(await this.numbers(model)));
  }

  async deleted(model: string, version: number): Promise<DeletedVersionsTable | undefined> {
    return this.#db.selectFrom('deleted_versions').selectAll().where('model', '=', model).where('version', '=', version).executeTakeFirst();
  }

  /**
   * Forgets a version once `check`, in the same transaction, finds that nothing needs it; returns the artifacts that no other version names
   * and that nobody uploaded again since.
   */
  async delete(row: VersionRow, by: string, at: EpochMillis, check: (trx: Queryable) => Promise<void>): Promise<readonly string[]> {
    const { model, version, manifest_digest, role } = row;
    return this.#db.transaction().execute(async (trx) => {
      await check(trx);
      await trx.insertInto('deleted_versions').values({ model, version, manifest_digest, role, deleted_at: at, deleted_by: by }).execute();
      const named = await trx
        .deleteFrom('version_artifacts')
        .where('model', '=', model)
        .where('version', '=', version)
        .returning('digest')
        .execute();
      await trx.deleteFrom('versions').where('model', '=', model).where('version', '=', version).execute();
      await trx.deleteFrom('fetch_rights').where('model', '=', model).where('version', '=', version).execute();
      if (named.length === 0) return [];
      const unused = await trx
        .deleteFrom('artifacts')
        .where(
          'digest',
          'in',
          named.map((entry) => entry.digest),
        )
        .where('digest', 'not in', (eb) => eb.selectFrom('version_artifacts').select('version_artifacts.digest'))
        .where('stored_at', '<=', row.accepted_at)
        .returning('digest')
        .execute();
      return unused.map((entry) => entry.digest);
    });
  }

  /** Asks other rooms' tables, outside of a transaction. */
  read<T>(ask: (db: Queryable) => Promise<T>): Promise<T> {
    return ask(this.#db);
  }

  /** Artifacts that only these versions of a model name, and their bytes. */
  async onlyNamedBy(model: string, versions: readonly number[]): Promise<{ readonly artifacts: number; readonly bytes: number }> {
    if (versions.length === 0) return { artifacts: 0, bytes: 0 };
    const rows = await this.#db
      .selectFrom('artifacts')
      .select(['digest', 'length'])
      .where('digest', 'in', (eb) =>
        eb.selectFrom('version_artifacts').select('version_artifacts.digest').where('model', '=', model).where('version', 'in', versions),
      )
      .where('digest', 'not in', (eb) =>
        eb
          .selectFrom('version_artifacts')
          .select('version_artifacts.digest')
          .where((or) => or.or([or('model', '!=', model), or('version', 'not in', versions)])),
      )
      .execute();
    return { artifacts: rows.length, bytes: rows.reduce((sum, { length }) => sum + length, 0) };
  }

  async manifestBytes(digest: string): Promise<Uint8Array | undefined> {
    const row = await this.#db.selectFrom('versions').select('manifest').where('manifest_digest', '=', digest).executeTakeFirst();
    return row?.manifest;
  }

  async artifactStored(digest: string, length: number, at: EpochMillis): Promise<void> {
    await this.#db
      .insertInto('artifacts')
      .values({ digest, length, stored_at: at })
      .onConflict((conflict) => conflict.column('digest').doUpdateSet({ stored_at: at }))
      .execute();
  }

  /** Digests of every artifact known, named by a version or not. */
  async artifacts(): Promise<ReadonlySet<string>> {
    const rows = await this.#db.selectFrom('artifacts').select('digest').execute();
    return new Set(rows.map((row) => row.digest));
  }

  /** Forgets artifacts stored before `at` that no version names; returns their digests. */
  async forgetOrphans(at: EpochMillis): Promise<readonly string[]> {
    const rows = await this.#db
      .deleteFrom('artifacts')
      .where('stored_at', '<', at)
      .where('digest', 'not in', (eb) => eb.selectFrom('version_artifacts').select('version_artifacts.digest'))
      .returning('digest')
      .execute();
    return rows.map((row) => row.digest);
  }
}
