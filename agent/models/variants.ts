import type { ModelManifest, Variant } from '#shared/bundle/model-manifest.js';

/** What variants are chosen by. */
export interface Machine {
  /** Execution providers the runtime offers here. */
  providers(): readonly string[];
  memoryBytes(): number;
  freeMemoryBytes(): number;
}

/** Variants that can run on this machine at all, in the manifest's order; which of them does is measured by placement. */
export function usableVariants(manifest: ModelManifest, machine: Machine): readonly Variant[] {
  const providers = new Set(machine.providers());
  return manifest.variants.filter(
    ({ requires }) =>
      requires.providers.some((provider) => providers.has(provider)) && (requires.memoryBytes ?? 0) <= machine.memoryBytes(),
  );
}
