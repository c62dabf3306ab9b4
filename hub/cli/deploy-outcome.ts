import { EXIT, type ExitCode } from '#shared/terminal/run-cli.js';
import type { DeploymentProgress } from '../fleet/deployment-view.js';

/** Where a deployment stands, for who waits for it. */
type DeployOutcome =
  /** Some device is still on its way. */
  | { readonly kind: 'running' }
  /** Every device has answered, one way or the other. */
  | { readonly kind: 'settled'; readonly exit: ExitCode };

/**
 * Reads the outcome out of the devices' states. Superseded ones were given something newer and count neither way. One whose agent
 * cannot yet (`unsupported`) has failed at nothing, and does not serve the version either. A
 * deployment that reached nobody did not do what was asked. Pure.
 */
export function deployOutcome(devices: DeploymentProgress['devices']): DeployOutcome {
  const serving = devices.filter((device) => device.state === 'serving' || device.state === 'removed').length;
  const refused = devices.filter((device) => device.state === 'refused').length;
  const unsupported = devices.filter((device) => device.state === 'unsupported').length;
  const superseded = devices.filter((device) => device.state === 'superseded').length;
  if (serving + refused + unsupported + superseded < devices.length) return { kind: 'running' };
  if (serving === 0) return { kind: 'settled', exit: EXIT.failed };
  return { kind: 'settled', exit: refused + unsupported > 0 ? EXIT.partly : EXIT.ok };
}

type DeviceProgress = DeploymentProgress['devices'][number];

const PERCENT: Readonly<Record<DeviceProgress['state'], number>> = {
  waiting: 0,
  fetching: 0,
  installing: 85,
  serving: 100,
  removed: 100,
  refused: 100,
  unsupported: 100,
  superseded: 100,
};

/** How far a device is, of 100, for its bar: most of the time goes into fetching. */
export function deployPercent(device: DeviceProgress): number {
  return device.state === 'fetching' ? Math.floor((device.percent ?? 0) * 0.8) : PERCENT[device.state];
}
