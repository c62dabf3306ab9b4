import os from 'node:os';
import type { PredictionTarget } from '#agent/inference/contract.js';
import { agentVariantName } from '#shared/bundle/agent-manifest.js';
import { PACKAGED_RELEASE } from '#shared/bundle/kinds.js';
import { AGENT_MODEL, type VersionNumber } from '#shared/bundle/names.js';

/**
 * What telemetry counts under a release of the agent: no predictions, but the runs that did not end in order, and what the device
 * needed meanwhile. `release` is left out for the agent of a package.
 */
export function agentTarget(release: VersionNumber | undefined): PredictionTarget {
  const variant = agentVariantName({ platform: os.platform(), arch: os.arch() });
  return { model: AGENT_MODEL, version: release ?? PACKAGED_RELEASE, variant, provider: 'cpu', role: 'serving' };
}
