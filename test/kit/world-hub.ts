import type { PublishedVersion, PublisherHub, RetiredVersions, Retirement, VersionUpload } from '#hub/publisher/hub-port.js';
import { metadataFile } from '#hub/registry/metadata-file.js';
import { checkNoNewVersions } from '#hub/registry/decide/target-check.js';
import { hubPublicKeys } from '#hub/registry/tuf/hub-keys.js';
import { TufRepository } from '#hub/registry/tuf/repository.js';
import { digestSchema, type ModelName, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import { hasCode, SkerryError } from '#shared/kernel/errors.js';
import { modelRoleName } from '#shared/trust/role-name.js';
import { parseMetadata, sha256Hex } from '#shared/trust/metadata.js';
import type { HubPublicKeys, TrustUpdate } from '#shared/trust/update.js';
import { FLEET, type TrustWorld } from './trust-world.js';

/** The hub of a trust world as publishers reach it, without HTTP; it can be away, lose an answer, and go back to a backup. */
export class WorldHub implements PublisherHub {
  /** Nobody answers. */
  away = false;
  /** The next change is taken, and its answer is lost. */
  losesNextAnswer = false;
  /** Called before the next change is looked at. */
  meanwhile: (() => Promise<unknown>) | undefined;
  readonly #world: TrustWorld;
  #versions = new Map<string, Map<number, string>>();

  constructor(world: TrustWorld) {
    this.#world = world;
  }

  async metadata(file: string): Promise<Uint8Array | undefined> {
    this.#reach();
    try {
      return metadataFile(this.#world.hub.publication(), file);
    } catch (cause) {
      if (hasCode(cause, 'API_NOT_FOUND')) return undefined;
      throw cause;
    }
  }

  async hubKeys(): Promise<HubPublicKeys> {
    this.#reach();
    return hubPublicKeys(FLEET, this.#world.keys);
  }

  putTrust(update: TrustUpdate): Promise<void> {
    return this.#change(async () => {
      if (update.recovery !== true) checkNoNewVersions(update, (path) => this.#world.hub.target(path));
      await this.#world.hub.accept(update);
    });
  }

  async versions(model: ModelName): Promise<readonly PublishedVersion[]> {
    this.#reach();
    return [...(this.#versions.get(model) ?? [])].map(([version, digest]) => ({
      version: versionNumberSchema.parse(version),
      manifest: digestSchema.parse(digest),
      contentIdentity: digestSchema.parse(digest),
    }));
  }

  async hasArtifact(): Promise<boolean> {
    return true;
  }

  async putArtifact(): Promise<void> {
    this.#reach();
  }

  createVersion(model: ModelName, { manifest, role, files }: VersionUpload): Promise<void> {
    return this.#change(async () => {
      const digest = sha256Hex(manifest);
      const known = this.#versions.get(model) ?? new Map<number, string>();
      const listing = files[modelRoleName(role, model)] ?? new Uint8Array();
      const listed = Object.entries(parseMetadata('targets', listing, role).metadata.signed.targets);
      const [path] = listed.find(([name, target]) => name.startsWith(`models/${model}/`) && target.hashes['sha256'] === digest) ?? [];
      const version = Number(/(\d+)\.json$/.exec(path ?? '')?.[1]);
      if (known.get(version) === digest) return;
      if (known.has(version)) throw new SkerryError('VERSION_CONFLICT', `${model}@${version} is taken by other content`);
      await this.#world.hub.accept({ roles: files });
      this.#versions.set(model, known.set(version, digest));
    });
  }

  retireVersions(model: ModelName, { versions, files }: Retirement): Promise<void> {
    return this.#change(async () => {
      await this.#world.hub.accept({ roles: files });
      for (const version of versions) this.#versions.get(model)?.delete(version);
    });
  }

  async previewRetirement(model: ModelName, versions: readonly VersionNumber[]): Promise<RetiredVersions> {
    this.#reach();
    return { model, versions: [...versions], artifacts: 0, bytes: 0 };
  }

  /** What a backup of the hub holds; calling the result puts it back. */
  backup(): () => Promise<void> {
    const files = new Map(this.#world.storage.files);
    const versions = new Map([...this.#versions].map(([model, known]) => [model, new Map(known)]));
    return async () => {
      this.#world.storage.files.clear();
      for (const [name, bytes] of files) this.#world.storage.files.set(name, bytes);
      this.#versions = versions;
      this.#world.hub = await TufRepository.open({ ...this.#world, fleet: FLEET });
    };
  }

  async #change(change: () => Promise<void>): Promise<void> {
    this.#reach();
    const before = this.meanwhile;
    this.meanwhile = undefined;
    await before?.();
    await change();
    if (!this.losesNextAnswer) return;
    this.losesNextAnswer = false;
    throw new SkerryError('HUB_UNREACHABLE', 'the answer was lost');
  }

  #reach(): void {
    if (this.away) throw new SkerryError('HUB_UNREACHABLE', 'the hub is away');
  }
}
