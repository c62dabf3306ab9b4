import { z } from 'zod';
import type { LiveBus } from '#hub/kernel/live-bus.js';
import type { Queryable } from '#hub/store/database.js';
import type { ArtifactStorage } from '#hub/store/artifacts.js';
import { manifestTargetPath } from '#shared/bundle/kinds.js';
import {
  type Digest,
  digestSchema,
  modelNameSchema,
  type ModelName,
  type VersionNumber,
  versionNumberSchema,
} from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import { days, parseTimestamp } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { ExclusiveQueue } from '#shared/kernel/exclusive-queue.js';
import { asVersion } from '#shared/trust/target-lookup.js';
import type { DeletedVersionsTable } from '#hub/store/tables/registry-tables.js';
import { checkRetirement, type RetirementFiles } from './decide/retirement-check.js';
import { checkTargetOf } from './decide/target-check.js';
import type { TufRepository } from './tuf/repository.js';
import { type Candidate, checkContent, readCandidate } from './version-checks.js';
import { type DeletedVersion, type RetiredVersions, requireUnused, type VersionUsers } from './version-needs.js';
import type { VersionRow, VersionStore } from './version-store.js';
import type { ModelDetail, ModelSummary, VersionDetail, VersionSummary } from './views.js';

/** Uploads that no version names are kept this long, for the publisher to come back to. */
const ORPHANS_KEPT = days(7);

interface RegistryDeps {
  readonly store: VersionStore;
  readonly storage: ArtifactStorage;
  readonly tuf: TufRepository;
  /** What may need a version that is to be deleted. */
  readonly users: readonly VersionUsers[];
  readonly live: LiveBus;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface PublishRequest {
  /** Canonical manifest bytes. */
  readonly manifest: Uint8Array;
  /** The publisher. */
  readonly role: string;
  /** Next signed targets files by role; that of the model lists the manifest. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Name of the token that asks. */
  readonly publisher: string;
}

/**
 * Models and their versions. A version is stored once its content is complete, checked again and listed in the trust
 * metadata; from then on it never changes.
 *
 * INVARIANT: one publication at a time. The trust metadata is accepted before the version is stored: a crash in between
 * leaves a listed version the hub does not offer, and the same upload again completes it.
 */
export class Registry {
  readonly #deps: RegistryDeps;
  readonly #queue = new ExclusiveQueue();

  constructor(deps: RegistryDeps) {
    this.#deps = deps;
  }

  /** Checks and stores a version; the same content again is the version already there (`created: false`). */
  publish(model: ModelName, request: PublishRequest): Promise<{ readonly created: boolean; readonly version: VersionDetail }> {
    return this.#queue.run(async () => {
      const candidate = readCandidate(model, request.manifest);
      const known = await this.#known(candidate);
      if (known !== undefined) return { created: false, version: await this.#detail(known) };
      await checkContent(candidate, this.#deps);
      checkTargetOf(candidate, request.role, request.files, (path) => this.#deps.tuf.target(path));
      await this.#deps.tuf.accept({ roles: request.files });
      return { created: true, version: await this.#store(candidate, request) };
    });
  }

  /** The version already stored under this number, if it is the same content; throws when the number cannot be used. */
  async #known({ manifest, digest }: Candidate): Promise<VersionRow | undefined> {
    const taken = await this.#deps.store.find(manifest.model, manifest.version);
    if (taken?.manifest_digest === digest) return taken;
    const name = `${manifest.model}@${manifest.version}`;
    if (taken !== undefined) {
      throw new SkerryError('VERSION_CONFLICT', `${name} is taken by other content`, {
        details: { stored: taken.manifest_digest, sent: digest },
      });
    }
    const deleted = await this.#deps.store.deleted(manifest.model, manifest.version);
    if (deleted !== undefined) throw deletedError(manifest.model, manifest.version, deleted);
    // A hub that was restored from a backup gets back what it lost, also below what was published since.
    if (this.#deps.tuf.target(manifestTargetPath(manifest.model, manifest.version))?.digest === digest) return undefined;
    const newest = await this.#deps.store.newest(manifest.model);
    if (manifest.version <= newest) {
      throw new SkerryError('VERSION_NOT_NEWER', `${name} is not above the newest version, ${newest}`, { details: { newest } });
    }
    return undefined;
  }

  async #store(candidate: Candidate, request: PublishRequest): Promise<VersionDetail> {
    const { clock, live, logger, store } = this.#deps;
    const { model, version } = candidate.manifest;
    const acceptedAt = clock.now();
    const publishedAt = this.#listed(model, version)?.publishedAt;
    await store.insert(candidate, {
      role: request.role,
      publisher: request.publisher,
      publishedAt: (publishedAt === undefined ? undefined : parseTimestamp(publishedAt)) ?? acceptedAt,
      acceptedAt,
    });
    logger.info({ model, version, manifest: candidate.digest, publisher: request.publisher }, 'version published');
    live.publish({
      kind: 'version.published',
      at: new Date(acceptedAt).toISOString(),
      model,
      version,
      manifest: digestSchema.parse(candidate.digest),
    });
    return this.version(model, version);
  }

  async models(): Promise<ModelSummary[]> {
    const rows = await this.#deps.store.models();
    const models: ModelSummary[] = [];
    for (const row of rows) {
      const name = modelNameSchema.parse(row.name);
      models.push({
        name,
        createdAt: new Date(row.created_at).toISOString(),
        versions: row.versions,
        newest: versionNumberSchema.parse(row.newest),
        minimumVersion: this.#minimum(name, await this.#deps.store.numbers(name)),
      });
    }
    return models;
  }

  /** Throws `MODEL_UNKNOWN`. */
  async model(name: ModelName): Promise<ModelDetail> {
    const createdAt = await this.#deps.store.createdAt(name);
    if (createdAt === undefined) throw new SkerryError('MODEL_UNKNOWN', `there is no model "${name}"`);
    const versions = await this.#deps.store.ofModel(name);
    return {
      name,
      createdAt: new Date(createdAt).toISOString(),
      minimumVersion: this.#minimum(
        name,
        versions.map((version) => version.version),
      ),
      versions: versions.map(summary),
    };
  }

  /** Throws `MODEL_UNKNOWN` or `VERSION_UNKNOWN`. */
  async version(model: ModelName, version: VersionNumber): Promise<VersionDetail> {
    const stored = await this.#deps.store.find(model, version);
    if (stored !== undefined) return this.#detail(stored);
    if ((await this.#deps.store.createdAt(model)) === undefined) throw new SkerryError('MODEL_UNKNOWN', `there is no model "${model}"`);
    const deleted = await this.#deps.store.deleted(model, version);
    if (deleted !== undefined) throw deletedError(model, version, deleted);
    throw new SkerryError('VERSION_UNKNOWN', `model "${model}" has no version ${version}`);
  }

  /** Bytes of the manifest with this digest, as devices fetch it. */
  manifestBytes(digest: Digest): Promise<Uint8Array | undefined> {
    return this.#deps.store.manifestBytes(digest);
  }

  /**
   * Deletes a version, and the artifacts that no other version needs. Its number is never used again: the publisher's signed metadata may go
   * on listing it. Throws `MODEL_UNKNOWN`, `VERSION_UNKNOWN`, `VERSION_DELETED`, and `VERSION_IN_USE` while something needs it.
   */
  delete(model: ModelName, version: VersionNumber, by: string): Promise<DeletedVersion> {
    return this.#queue.run(async () => {
      const row = await this.#deps.store.find(model, version);
      if (row === undefined) await this.version(model, version);
      if (row === undefined) throw new SkerryError('VERSION_UNKNOWN', `model "${model}" has no version ${version}`);
      return this.#delete(row, model, version, by);
    });
  }

  /**
   * Retires versions as their publisher signed it: they are deleted as by `delete`, then taken off the trust metadata. A crash in between
   * leaves deleted versions that are listed, and the same request again completes it. Throws `VERSION_IN_USE` while something needs one of
   * them, and then nothing has changed.
   */
  retire(request: RetirementFiles & { readonly by: string }): Promise<RetiredVersions> {
    return this.#queue.run(async () => {
      const { tuf } = this.#deps;
      const { model, versions, files, by } = request;
      checkRetirement(request, (role) => tuf.findFile(role));
      await tuf.check({ roles: files });
      const rows = await this.#retirable(model, versions);
      let [artifacts, bytes] = [0, 0];
      for (const row of rows) {
        const deleted = await this.#delete(row, model, versionNumberSchema.parse(row.version), by);
        artifacts += deleted.artifacts;
        bytes += deleted.bytes;
      }
      await tuf.accept({ roles: files });
      return { model, versions: [...versions], artifacts, bytes };
    });
  }

  /** What retiring these versions would come to. Throws `VERSION_IN_USE`. */
  previewRetirement(model: ModelName, versions: readonly VersionNumber[]): Promise<RetiredVersions> {
    return this.#queue.run(async () => {
      const rows = await this.#retirable(model, versions);
      const freed = await this.#deps.store.onlyNamedBy(
        model,
        rows.map((row) => row.version),
      );
      return { model, versions: [...versions], ...freed };
    });
  }

  /** Those of the versions that are stored, once it is sure that nothing needs any of them. */
  async #retirable(model: ModelName, versions: readonly VersionNumber[]): Promise<readonly VersionRow[]> {
    const rows = (await this.#deps.store.ofModel(model)).filter((row) => versions.some((version) => version === row.version));
    for (const { version } of rows) await this.#deps.store.read((db) => this.#requireUnused(db, model, versionNumberSchema.parse(version)));
    return rows;
  }

  async #requireUnused(db: Queryable, model: ModelName, version: VersionNumber): Promise<void> {
    const needs = [];
    for (const usersOf of this.#deps.users) needs.push(await usersOf(db, model, version));
    requireUnused(model, version, needs);
  }

  async #delete(row: VersionRow, model: ModelName, version: VersionNumber, by: string): Promise<DeletedVersion> {
    const { store, storage, clock, logger, live } = this.#deps;
    const at = clock.now();
    const digests = await store.delete(row, by, at, (trx) => this.#requireUnused(trx, model, version));
    let bytes = 0;
    for (const digest of digests) {
      bytes += (await storage.length(digestSchema.parse(digest))) ?? 0;
      await storage.delete(digestSchema.parse(digest));
    }
    logger.info({ model, version, by, artifacts: digests.length, bytes }, 'version deleted');
    live.publish({ kind: 'version.deleted', at: new Date(at).toISOString(), model, version });
    return { model, version, artifacts: digests.length, bytes };
  }

  /** Deletes uploads that no version came to name. */
  purgeOrphans(): Promise<number> {
    return this.#queue.run(async () => {
      const digests = await this.#deps.store.forgetOrphans(this.#deps.clock.now() - ORPHANS_KEPT);
      for (const digest of digests) await this.#deps.storage.delete(digestSchema.parse(digest));
      return digests.length;
    });
  }

  #listed(model: ModelName, version: number): { minimumVersion: VersionNumber; publishedAt: string } | undefined {
    const target = this.#deps.tuf.target(manifestTargetPath(model, version));
    return target === undefined ? undefined : asVersion(target)?.custom;
  }

  /** The highest minimum any version of the model states (a recall is not undone by a later, lower statement). */
  #minimum(model: ModelName, versions: readonly number[]): VersionNumber {
    return versionNumberSchema.parse(Math.max(1, ...versions.map((version) => this.#listed(model, version)?.minimumVersion ?? 1)));
  }

  async #detail(row: VersionRow): Promise<VersionDetail> {
    const document = await this.#deps.store.document(row.manifest_digest);
    if (document === undefined) throw new SkerryError('INTERNAL', `the manifest of ${row.model}@${row.version} is gone`);
    return { ...summary(row), document };
  }
}

function deletedError(model: string, version: number, { deleted_at: at, deleted_by: by }: DeletedVersionsTable): SkerryError {
  return new SkerryError('VERSION_DELETED', `${model}@${version} was deleted by ${by} on ${new Date(at).toISOString()}`, {
    details: { model, version, deletedAt: new Date(at).toISOString(), deletedBy: by },
  });
}

function summary(row: VersionRow): VersionSummary {
  return {
    model: modelNameSchema.parse(row.model),
    version: versionNumberSchema.parse(row.version),
    manifest: digestSchema.parse(row.manifest_digest),
    contentIdentity: digestSchema.parse(row.content_identity),
    role: row.role,
    publishedAt: new Date(row.published_at).toISOString(),
    acceptedAt: new Date(row.accepted_at).toISOString(),
    publisher: row.publisher,
    bytes: row.bytes,
    variants: z.array(z.string()).parse(JSON.parse(row.variants)),
  };
}
