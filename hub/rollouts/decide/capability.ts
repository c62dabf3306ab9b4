import type { Incapable } from '#hub/fleet/decide/incapable.js';
import type { AgentManifest, AgentVariant } from '#shared/bundle/agent-manifest.js';
import { lackingFeatures, requiredFeatures } from '#shared/bundle/features.js';
import { byKind, PACKAGED_RELEASE } from '#shared/bundle/kinds.js';
import type { ModelManifest, Variant } from '#shared/bundle/model-manifest.js';
import { runtimesFor } from '#shared/bundle/opsets.js';
import type { Capabilities } from '#shared/protocol/device.js';

type RunnableVariant = Pick<Variant, 'name' | 'opset' | 'requires'>;

interface RunnableModel extends Pick<ModelManifest, 'kind' | 'requires'> {
  readonly variants: readonly RunnableVariant[];
}

interface RunnableRelease extends Pick<AgentManifest, 'kind' | 'requires' | 'takesOverFrom'> {
  readonly variants: readonly Pick<AgentVariant, 'name' | 'platform' | 'arch'>[];
}

/** What of a version's manifest decides who can run it. */
export type Runnable = RunnableModel | RunnableRelease;

/** Why a device cannot run a version: its agent lacks features, or it can run none of the variants. `undefined` when it can. */
export function whyIncapable(version: Runnable, device: Capabilities): Incapable | undefined {
  const lacks = lackingFeatures(requiredFeatures(version), device.features ?? []);
  if (lacks.length > 0) return { why: `needs ${lacks.join(', ')}, which its agent does not have yet`, lacks };
  const why = byKind(version, {
    model: (model: RunnableModel) => whyNoVariant(model, device),
    agent: (release: RunnableRelease) => whyNotAgent(release, device),
  });
  return why === undefined ? undefined : { why };
}

/** One reason for each variant. */
function whyNoVariant({ variants }: RunnableModel, device: Capabilities): string | undefined {
  const reasons: string[] = [];
  for (const variant of variants) {
    const why = whyNot(variant, device);
    if (why === undefined) return undefined;
    reasons.push(`${variant.name}: ${why}`);
  }
  return reasons.length === 0 ? 'the version has no variants' : reasons.join('; ');
}

function whyNotAgent({ variants, takesOverFrom }: RunnableRelease, device: Capabilities): string | undefined {
  if (!variants.some(({ platform, arch }) => platform === device.os && arch === device.arch)) {
    return `the device is ${device.os}-${device.arch}, the release is for ${variants.map(({ name }) => name).join(', ')}`;
  }
  const { selfUpdate } = device;
  if (selfUpdate === undefined) return 'the agent of the device does not say that it can replace itself';
  if (!selfUpdate.able) return `the agent cannot replace itself: ${selfUpdate.reason ?? 'it does not say why'}`;
  const running = selfUpdate.release ?? PACKAGED_RELEASE;
  const name = running === PACKAGED_RELEASE ? 'the one of its package' : `release ${running}`;
  return running < takesOverFrom ? `takes over from release ${takesOverFrom}, the device runs ${name}` : undefined;
}

function whyNot({ opset, requires }: RunnableVariant, device: Capabilities): string | undefined {
  const providers = new Set(['cpu', ...device.providers]);
  if (!requires.providers.some((provider) => providers.has(provider))) {
    return `needs ${requires.providers.join(' or ')}, the device has ${[...providers].join(', ')}`;
  }
  if (requires.memoryBytes !== undefined && requires.memoryBytes > device.memoryBytes) {
    return `needs ${requires.memoryBytes} bytes of memory, the device has ${device.memoryBytes}`;
  }
  const known = knowledge(opset, device);
  return known.kind === 'no' ? `opset ${opset} needs runtime ${known.needs}, the device has ${device.runtime.version}` : undefined;
}

type Knowledge = { readonly kind: 'yes' | 'unknown' } | { readonly kind: 'no'; readonly needs: string };

/** Whether the runtime of a device knows an opset; unknown where its release cannot be told, or is not known to. */
function knowledge(opset: number | undefined, { runtime }: Pick<Capabilities, 'runtime'>): Knowledge {
  const needed = opset === undefined ? undefined : runtimesFor(opset);
  if (needed === undefined) return { kind: 'yes' };
  const release = runtime.name.startsWith('onnxruntime') ? /^(\d+)\.(\d+)\./.exec(runtime.version) : null;
  const minor = release?.[1] === '1' ? Number(release[2]) : undefined;
  if (minor === undefined) return { kind: 'unknown' };
  if (minor < needed.earliest) return { kind: 'no', needs: `1.${needed.earliest}${needed.surely === needed.earliest ? '' : ' or newer'}` };
  return { kind: needed.surely !== undefined && minor >= needed.surely ? 'yes' : 'unknown' };
}

/**
 * The opset that a device that may run the version is not known to know: it is told, and shows. `undefined` where it has a variant
 * that it surely can run, or can run none.
 */
export function unsureOpset(version: Runnable, device: Capabilities): number | undefined {
  const runnable = byKind(version, {
    model: ({ variants }: RunnableModel) => variants.filter((variant) => whyNot(variant, device) === undefined),
    agent: () => [],
  });
  return runnable.every(({ opset }) => knowledge(opset, device).kind === 'unknown') ? runnable[0]?.opset : undefined;
}
