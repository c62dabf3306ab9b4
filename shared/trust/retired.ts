import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import type { JsonObject, MetadataFile } from './metadata.js';

// Versions that a publisher retired: the signed file of their model lists them no more and says so instead, in ranges. So a number is
// never used again, and whoever compares two files can tell a version that was retired from one that got lost.

const numberSchema = z.int().min(1);
const rangesSchema = z.array(z.tuple([numberSchema, numberSchema])).max(4096);

/** Ranges of version numbers, both ends included, rising and apart. */
export type VersionRanges = readonly (readonly [number, number])[];

/** What a model's targets file says of retired versions; throws `TRUST_TARGETS_FORMAT` for what is no list of ranges. */
export function retiredIn(file: MetadataFile<'targets'>): VersionRanges {
  const said = file.signed['retired'];
  if (said === undefined) return [];
  const ranges = rangesSchema.safeParse(said);
  if (ranges.success && ranges.data.every(([from, to], index) => from <= to && from > (ranges.data[index - 1]?.[1] ?? 0)))
    return ranges.data;
  throw new SkerryError('TRUST_TARGETS_FORMAT', `role ${file.role} names retired versions in a form that cannot be read`);
}

export function isRetired(ranges: VersionRanges, version: number): boolean {
  return ranges.some(([from, to]) => version >= from && version <= to);
}

/** The ranges with more versions in them. */
export function withRetired(ranges: VersionRanges, versions: readonly number[]): VersionRanges {
  const all = [...ranges, ...versions.map((version) => [version, version] as const)].toSorted((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [from, to] of all) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** The member of `signed`; nothing where no version is retired. */
export function retiredMember(ranges: VersionRanges): JsonObject {
  return ranges.length === 0 ? {} : { retired: ranges.map(([from, to]) => [from, to]) };
}
