import { type AgentVariant, PACKAGED_RELEASE } from '#shared/bundle/agent-manifest.js';
import { lackingFeatures } from '#shared/bundle/features.js';
import type { Variant } from '#shared/bundle/model-manifest.js';
import { runtimesFor } from '#shared/bundle/opsets.js';
import type { VersionNumber } from '#shared/bundle/names.js';
import type { Capabilities } from '#shared/protocol/device.js';

/** An executable of the agent, and the oldest release it can follow. */
export interface AgentExecutable extends Pick<AgentVariant, 'name' | 'platform' | 'arch'> {
  readonly takesOverFrom: VersionNumber;
}

/** What of a version decides who can run it. */
export type Runnable = (Pick<Variant, 'name' | 'opset' | 'requires'> | AgentExecutable) & {
  /** Features that the version needs of the agent (shared/bundle/features.ts). */
  readonly features?: readonly string[] | undefined;
};

/** Why a device can run none of the variants, one reason for each; `undefined` when it can run one. */
export function whyIncapable(variants: readonly Runnable[], device: Capabilities): string | undefined {
  const lacking = lackingFeatures(variants[0]?.features, device.features ?? []);
  if (lacking.length > 0) return `needs ${lacking.join(', ')}, which its agent does not have yet`;
  const executables = variants.filter((variant) => 'platform' in variant);
  if (executables.length > 0) return whyNotAgent(executables, device);
  const reasons: string[] = [];
  for (const variant of variants) {
    if ('platform' in variant) continue;
    const why = whyNot(variant, device);
    if (why === undefined) return undefined;
    reasons.push(`${variant.name}: ${why}`);
  }
  return reasons.length === 0 ? 'the version has no variants' : reasons.join('; ');
}

function whyNotAgent(executables: readonly AgentExecutable[], device: Capabilities): string | undefined {
  const fitting = executables.find(({ platform, arch }) => platform === device.os && arch === device.arch);
  if (fitting === undefined) {
    return `the device is ${device.os}-${device.arch}, the release is for ${executables.map(({ name }) => name).join(', ')}`;
  }
  const { takesOverFrom } = fitting;
  const { selfUpdate } = device;
  if (selfUpdate === undefined) return 'the agent of the device does not say that it can replace itself';
  if (!selfUpdate.able) return `the agent cannot replace itself: ${selfUpdate.reason ?? 'it does not say why'}`;
  const running = selfUpdate.release ?? PACKAGED_RELEASE;
  const name = running === PACKAGED_RELEASE ? 'the one of its package' : `release ${running}`;
  return running < takesOverFrom ? `takes over from release ${takesOverFrom}, the device runs ${name}` : undefined;
}

function whyNot({ opset, requires }: Pick<Variant, 'opset' | 'requires'>, device: Capabilities): string | undefined {
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
export function unsureOpset(variants: readonly Runnable[], device: Capabilities): number | undefined {
  const models = variants.flatMap((variant) => ('platform' in variant || whyNot(variant, device) !== undefined ? [] : [variant]));
  return models.every(({ opset }) => knowledge(opset, device).kind === 'unknown') ? models[0]?.opset : undefined;
}
