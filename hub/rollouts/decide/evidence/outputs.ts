import { pearsonDispersion } from '#shared/stats/dispersion.js';
import type { GateFigures } from '../../figures.js';
import type { Lane } from './lane.js';

/** What one wave's outputs look like on both sides, by name. */
export function outputFigures(gate: string, wave: number, canary: readonly Lane[], control: readonly Lane[]): GateFigures {
  const sides = { canary: byName(canary, wave), control: byName(control, wave) };
  const names = [...new Set([...sides.canary.keys(), ...sides.control.keys()])].sort();
  if (names.length === 0) return { gate, kind: 'missing', why: 'no device reported outputs' };
  const outputs = names.map((name) => {
    const devices = sides.control.get(name) ?? [];
    const sum = total(devices);
    return { name, canary: total(sides.canary.get(name) ?? []), control: sum, dispersion: binDispersion(devices, sum) };
  });
  const uneven = outputs.find(
    (output) => output.canary.length !== output.control.length && output.canary.length * output.control.length > 0,
  );
  if (uneven !== undefined)
    return { gate, kind: 'failed', why: `the output "${uneven.name}" is counted in different bins by the two versions` };
  return { gate, kind: 'distance', outputs };
}

function byName(lanes: readonly Lane[], wave: number): Map<string, (readonly number[])[]> {
  const found = new Map<string, (readonly number[])[]>();
  for (const lane of lanes) {
    for (const [name, histogram] of lane.outputs(wave)) {
      const histograms = found.get(name) ?? [];
      found.set(name, histograms);
      histograms.push(histogram);
    }
  }
  return found;
}

function total(histograms: readonly (readonly number[])[]): number[] {
  const [first = [], ...others] = histograms;
  const sum = [...first];
  for (const histogram of others) for (const [i, count] of histogram.entries()) sum[i] = (sum[i] ?? 0) + count;
  return sum;
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
