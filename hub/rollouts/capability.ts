import type { Variant } from '#shared/bundle/manifest.js';
import type { Capabilities } from '#shared/protocol/device.js';

/** Opset each ONNX Runtime release first supports (onnxruntime.ai, "ONNX Runtime compatibility"); older opsets need no newer runtime. */
const OPSET_SINCE: readonly (readonly [opset: number, minor: number])[] = [
  [21, 18],
  [20, 17],
  [19, 15],
  [18, 14],
  [17, 12],
  [16, 11],
];

/** Why a device can run none of the variants, one reason for each; `undefined` when it can run one. */
export function whyIncapable(variants: readonly Pick<Variant, 'name' | 'opset' | 'requires'>[], device: Capabilities): string | undefined {
  const reasons: string[] = [];
  for (const variant of variants) {
    const why = whyNot(variant, device);
    if (why === undefined) return undefined;
    reasons.push(`${variant.name}: ${why}`);
  }
  return reasons.length === 0 ? 'the version has no variants' : reasons.join('; ');
}

function whyNot({ opset, requires }: Pick<Variant, 'opset' | 'requires'>, device: Capabilities): string | undefined {
  const providers = new Set(['cpu', ...device.providers]);
  if (!requires.providers.some((provider) => providers.has(provider))) {
    return `needs ${requires.providers.join(' or ')}, the device has ${[...providers].join(', ')}`;
  }
  if (requires.memoryBytes !== undefined && requires.memoryBytes > device.memoryBytes) {
    return `needs ${requires.memoryBytes} bytes of memory, the device has ${device.memoryBytes}`;
  }
  const needed = OPSET_SINCE.find(([since]) => opset >= since)?.[1];
  const minor = /^1\.(\d+)\./.exec(device.runtime.version)?.[1];
  if (needed !== undefined && minor !== undefined && device.runtime.name.startsWith('onnxruntime') && Number(minor) < needed) {
    return `opset ${opset} needs runtime 1.${needed}, the device has ${device.runtime.version}`;
  }
  return undefined;
}
