import { createHash } from 'node:crypto';

/** How much of a cohort: all devices whose position lies below `percent` (0 to 100), or the `count` lowest positions. */
type SliceSize = { readonly percent: number } | { readonly count: number };

/**
 * Where a device stands in a rollout's order: uniform in [0, 1), fixed by the seed and the device id alone (the first 48
 * bits of SHA-256). So 5 % lies inside 10 % inside 100 %, and a device that joins later has its place already.
 */
export function slicePosition(seed: string, device: string): number {
  return createHash('sha256').update(`${seed}\0${device}`).digest().readUIntBE(0, 6) / 2 ** 48;
}

/** Devices by rising position; equal positions by id. */
export function sliceOrder<T extends string>(seed: string, devices: Iterable<T>): T[] {
  const placed = [...new Set(devices)].map((device) => ({ device, position: slicePosition(seed, device) }));
  placed.sort((a, b) => a.position - b.position || (a.device < b.device ? -1 : 1));
  return placed.map(({ device }) => device);
}

/**
 * The slice of a cohort, in order. A percent takes `ceil(percent * n / 100)` devices: never none of a cohort that has any,
 * unless the percent is 0. Slices of one seed and cohort nest.
 */
export function slice<T extends string>(seed: string, devices: Iterable<T>, size: SliceSize): T[] {
  const order = sliceOrder(seed, devices);
  return order.slice(0, sliceCount(order.length, size));
}

/** How many of `total` devices a slice holds. */
export function sliceCount(total: number, size: SliceSize): number {
  // Rounded to a millionth first, so that 7 % of 100 (7.000000000000001) is 7 and not 8.
  const wanted = 'count' in size ? size.count : Math.ceil(Math.round(size.percent * total * 10_000) / 1_000_000);
  return Math.min(total, Math.max(0, wanted));
}
