import type { DeviceId } from '#shared/protocol/device.js';
import { pearsonDispersion } from '#shared/stats/dispersion.js';
import type { GateFigures } from '../figures.js';
import type { DeviceWindow, Group } from './window.js';

type ByDevice = Map<DeviceId, number[]>;

/** Outputs of both groups, by name and device. */
export class OutputBook {
  readonly #outputs = new Map<string, Record<Group, ByDevice>>();

  add(window: DeviceWindow, group: Group): void {
    for (const [name, histogram] of Object.entries(window.outputs ?? {})) {
      const output: Record<Group, ByDevice> = this.#outputs.get(name) ?? { canary: new Map(), control: new Map() };
      this.#outputs.set(name, output);
      const before = output[group].get(window.device);
      output[group].set(window.device, before === undefined ? [...histogram] : plus(histogram, before));
    }
  }

  figures(gate: string): GateFigures {
    if (this.#outputs.size === 0) return { gate, kind: 'missing', why: 'no device reported outputs' };
    const outputs = [...this.#outputs].map(([name, { canary, control }]) => {
      const sum = total(control);
      return { name, canary: total(canary), control: sum, dispersion: binDispersion([...control.values()], sum) };
    });
    const uneven = outputs.find(
      (output) => output.canary.length !== output.control.length && output.canary.length * output.control.length > 0,
    );
    if (uneven !== undefined)
      return { gate, kind: 'failed', why: `the output "${uneven.name}" is counted in different bins by the two versions` };
    return { gate, kind: 'distance', outputs };
  }
}

function total(devices: ByDevice): number[] {
  let sum: number[] = [];
  for (const histogram of devices.values()) sum = sum.length === 0 ? [...histogram] : plus(sum, histogram);
  return sum;
}

function plus(a: readonly number[], b: readonly number[]): number[] {
  return a.map((count, i) => count + (b[i] ?? 0));
}

/** Mean over bins of the variation between devices beyond chance. */
function binDispersion(devices: readonly (readonly number[])[], sum: readonly number[]): number {
  const totals = devices.map((histogram) => histogram.reduce((a, b) => a + b, 0));
  const used = sum.flatMap((count, bin) => (count > 0 ? [bin] : []));
  const perBin = used.map((bin) =>
    pearsonDispersion(devices.map((histogram, i) => ({ events: histogram[bin] ?? 0, exposure: totals[i] ?? 0 }))),
  );
  return perBin.length === 0 ? 1 : perBin.reduce((a, b) => a + b, 0) / perBin.length;
}
