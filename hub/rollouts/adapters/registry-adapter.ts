import type { VersionStore } from '#hub/registry/version-store.js';
import { byKind } from '#shared/bundle/kinds.js';
import type { ModelManifest } from '#shared/bundle/model-manifest.js';
import { digestSchema, type ModelName, type VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { RegistryPort } from '../ports.js';

/** Published versions behind the rollouts' port. */
export class RegistryAdapter implements RegistryPort {
  readonly #versions: VersionStore;

  constructor(versions: VersionStore) {
    this.#versions = versions;
  }

  async version(model: ModelName, version: VersionNumber): ReturnType<RegistryPort['version']> {
    const row = await this.#versions.find(model, version);
    const manifest = row === undefined ? undefined : await this.#versions.document(row.manifest_digest);
    if (row === undefined || manifest === undefined) throw new SkerryError('VERSION_UNKNOWN', `there is no version ${version} of ${model}`);
    const signature = byKind(manifest, {
      model: ({ inputs, outputs }: ModelManifest) => ({ signature: { inputs, outputs } }),
      agent: () => ({}),
    });
    return { manifest: digestSchema.parse(row.manifest_digest), runnable: manifest, ...signature };
  }
}
