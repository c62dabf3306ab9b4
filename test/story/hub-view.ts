import type { Fleet } from '../kit/fleet.js';

// What the story reads of the hub's answers; the whole of them is in the hub's OpenAPI document.

export interface DeviceView {
  readonly id: string;
  readonly presence: { readonly state: 'online' | 'offline' | 'never' };
  readonly serving: readonly { readonly model: string; readonly version: number }[];
}

export interface DeploymentView {
  readonly id: number;
  readonly devices: readonly {
    readonly device: string;
    readonly state: string;
    readonly percent?: number;
    readonly install?: string;
    readonly error?: { readonly code: string; readonly message: string };
  }[];
}

export interface VersionMetricsView {
  readonly version: number;
  readonly predictions: number;
  readonly errorRate: number;
  readonly signals: { readonly latency?: { readonly p50: number | null; readonly p99: number | null } };
}

export async function devicesOf(fleet: Fleet): Promise<readonly DeviceView[]> {
  return ((await fleet.api('/devices')) as { devices: DeviceView[] }).devices;
}

export async function deploymentOf(fleet: Fleet, id: number): Promise<DeploymentView> {
  return (await fleet.api(`/deployments/${id}`)) as DeploymentView;
}

export async function metricsOf(fleet: Fleet, model: string): Promise<readonly VersionMetricsView[]> {
  return ((await fleet.api(`/metrics/models/${model}`)) as { versions: VersionMetricsView[] }).versions;
}
