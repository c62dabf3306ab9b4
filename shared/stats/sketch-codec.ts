import { SkerryError } from '#shared/kernel/errors.js';
import { MAX_BINS } from './bins.js';
import { ExactSum } from './exact-sum.js';
import { MAX_INDEX, MAX_MAGNITUDE, MIN_INDEX, MIN_MAGNITUDE, binIndex } from './sketch-mapping.js';
import { ByteReader, unzigzag, writeVarint, zigzag } from './varint.js';

/** What a sketch consists of; bins by rising index, `sum` as ExactSum.components gives it. */
interface SketchParts {
  readonly zero: number;
  readonly negative: readonly (readonly [number, number])[];
  readonly positive: readonly (readonly [number, number])[];
  readonly min: number;
  readonly max: number;
  readonly sum: readonly number[];
}

/** First byte: layout 1, relative accuracy 1 %, gamma = 1.01 / 0.99. */
const VERSION = 1;
/** 53-bit mantissas from 1e-12 to 1e150 * 2^53: no exact sum has more parts. */
const MAX_COMPONENTS = 16;

/** Longest encoding that can be valid; longer input is refused unread. */
const MAX_SKETCH_BYTES = 64 * 1024;

/**
 * Layout: version, zero count, negative bins, positive bins; if any value is held: min, max (float64 LE), number of sum
 * components, components. Bins: number, then per bin the index (first: zigzag; later: gap - 1) and the count, as LEB128.
 */
export function encodeSketch(parts: SketchParts): Uint8Array {
  const out: number[] = [VERSION];
  writeVarint(out, parts.zero);
  writeBins(out, parts.negative);
  writeBins(out, parts.positive);
  if (parts.zero + parts.negative.length + parts.positive.length === 0) return Uint8Array.from(out);
  writeFloat(out, parts.min);
  writeFloat(out, parts.max);
  writeVarint(out, parts.sum.length);
  for (const component of parts.sum) writeFloat(out, component);
  return Uint8Array.from(out);
}

/** Strict inverse of `encodeSketch`: what it accepts would be encoded to the same bytes, and its figures fit each other. */
export function decodeSketch(bytes: Uint8Array): SketchParts {
  if (bytes.byteLength > MAX_SKETCH_BYTES) throw invalid(`more than ${MAX_SKETCH_BYTES} bytes`);
  const reader = new ByteReader(bytes);
  const version = reader.byte();
  if (version !== VERSION) throw invalid(`unknown version ${version}`);
  const zero = reader.varint(Number.MAX_SAFE_INTEGER);
  const negative = readBins(reader);
  const positive = readBins(reader);
  let count = zero;
  for (const [, binCount] of [...negative, ...positive]) count += binCount;
  if (!Number.isSafeInteger(count)) throw invalid('more than 2^53 values');
  const parts =
    count === 0
      ? { zero, negative, positive, min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, sum: [] }
      : { zero, negative, positive, min: reader.float(), max: reader.float(), sum: readSum(reader) };
  if (reader.remaining > 0) throw invalid('bytes after the end');
  if (count > 0) checkFigures(parts, count);
  return parts;
}

function readBins(reader: ByteReader): [number, number][] {
  const size = reader.varint(MAX_BINS);
  const bins: [number, number][] = [];
  let index = 0;
  for (let i = 0; i < size; i++) {
    index = i === 0 ? unzigzag(reader.varint(2 ** 17)) : index + 1 + reader.varint(2 ** 17);
    if (index < MIN_INDEX || index > MAX_INDEX) throw invalid(`there is no bin ${index}`);
    const count = reader.varint(Number.MAX_SAFE_INTEGER);
    if (count === 0) throw invalid(`bin ${index} is empty`);
    bins.push([index, count]);
  }
  return bins;
}

function readSum(reader: ByteReader): number[] {
  const size = reader.varint(MAX_COMPONENTS);
  const components: number[] = [];
  const sum = new ExactSum();
  for (let i = 0; i < size; i++) {
    const component = reader.float();
    if (!(Math.abs(component) <= MAX_MAGNITUDE * 2 ** 53)) throw invalid('the sum is not finite');
    components.push(component);
    sum.add(component);
  }
  const canonical = sum.components();
  if (canonical.length !== size || canonical.some((component, i) => !Object.is(component, components[i]))) {
    throw invalid('the sum is not in its one form');
  }
  return components;
}

function checkFigures(parts: SketchParts, count: number): void {
  const { min, max } = parts;
  if (!(min <= max) || !isKept(min) || !isKept(max)) throw invalid('minimum and maximum do not fit');
  const highest = sideOf(max, parts);
  if (max > 0 ? highest.at(-1)?.[0] !== binIndex(max) : !fitsLow(highest, -max)) throw invalid('the maximum lies in no bin');
  const lowest = sideOf(min, parts);
  if (min < 0 ? lowest.at(-1)?.[0] !== binIndex(-min) : !fitsLow(lowest, min)) throw invalid('the minimum lies in no bin');
  if (parts.positive.length > 0 !== max > 0 || parts.negative.length > 0 !== min < 0) throw invalid('a side has no values');
  if ((max === 0 || min === 0) && parts.zero === 0) throw invalid('the zero bucket is empty');
  if ((max < 0 || min > 0) && parts.zero > 0) throw invalid('the zero bucket is out of reach');
  const [sum = 0] = parts.sum;
  const slack = 1e-9 * count * Math.max(Math.abs(min), Math.abs(max));
  if (sum < count * min - slack || sum > count * max + slack) throw invalid('the sum is out of reach');
}

/** The bin nearest to zero holds its smallest magnitude, or more when bins were joined. */
function fitsLow(bins: readonly (readonly [number, number])[], magnitude: number): boolean {
  if (magnitude === 0) return true;
  const first = bins[0]?.[0];
  if (first === undefined) return false;
  const index = binIndex(magnitude);
  return index === first || (bins.length === MAX_BINS && index < first);
}

function sideOf(value: number, parts: SketchParts): readonly (readonly [number, number])[] {
  if (value === 0) return [];
  return value > 0 ? parts.positive : parts.negative;
}

/** True for a value `add` could have kept: 0 (not -0) or a magnitude within bounds. */
function isKept(value: number): boolean {
  if (value === 0) return Object.is(value, 0);
  return Math.abs(value) >= MIN_MAGNITUDE && Math.abs(value) <= MAX_MAGNITUDE;
}

function writeBins(out: number[], bins: readonly (readonly [number, number])[]): void {
  writeVarint(out, bins.length);
  let previous = 0;
  for (const [i, [index, count]] of bins.entries()) {
    writeVarint(out, i === 0 ? zigzag(index) : index - previous - 1);
    writeVarint(out, count);
    previous = index;
  }
}

function writeFloat(out: number[], value: number): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  out.push(...bytes);
}

function invalid(why: string): SkerryError {
  return new SkerryError('SKETCH_INVALID', `not a quantile sketch: ${why}`);
}
