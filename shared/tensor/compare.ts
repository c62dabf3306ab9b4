import { atOnce } from '#shared/kernel/turns.js';
import { checkBytesElements, nextBytesElement } from './bytes-elements.js';
import { elementsOf, isFixedSize } from './elements.js';
import { floatForm } from './float-form.js';
import { elementCount, formatShape } from './shape.js';
import type { NamedTensors, Tensor } from './tensor.js';
import { describeTolerance, EXACT, type OutputTolerances, type Tolerance, toleranceOf } from './tolerance.js';

export interface Comparison {
  readonly agrees: boolean;
  /** Elements outside the tolerance. */
  readonly mismatches: number;
  /** Largest |actual - expected| over all elements; Infinity where one side is not a number and the other is. */
  readonly maxError: number;
  /** The element that exceeds its bound by most, or comes nearest to it. Values as text, since they may be 64-bit integers. */
  readonly worst: { readonly index: number; readonly expected: string; readonly actual: string } | undefined;
  /** A sentence when it does not agree. */
  readonly reason: string | undefined;
}

const AGREES: Comparison = { agrees: true, mismatches: 0, maxError: 0, worst: undefined, reason: undefined };

/**
 * Compares a tensor with the one expected, as numpy.allclose does but for NaN, which equals only NaN, and infinities, which
 * equal only themselves. BOOL and BYTES must be equal. Another datatype or shape never agrees.
 */
export function allclose(expected: Tensor, actual: Tensor, tolerance: Tolerance): Comparison {
  const forms = compareForms(expected, actual);
  if (!forms.agrees) return forms;
  if (expected.datatype === 'BYTES') return compareBytes(expected, actual);
  return compareNumbers(numbersOf(expected), numbersOf(actual), expected.datatype === 'BOOL' ? EXACT : tolerance);
}

/** Compares element type and shape alone. */
function compareForms(expected: Tensor, actual: Tensor): Comparison {
  if (expected.datatype === actual.datatype && formatShape(expected.shape) === formatShape(actual.shape)) return AGREES;
  const reason = `is ${actual.datatype} ${formatShape(actual.shape)}, expected ${expected.datatype} ${formatShape(expected.shape)}`;
  return { agrees: false, mismatches: 0, maxError: Number.POSITIVE_INFINITY, worst: undefined, reason };
}

/** Compares all outputs with those expected, each within its own tolerance (`toleranceOf`); names must be the same. */
export function compareOutputs(expected: NamedTensors, actual: NamedTensors, tolerances: OutputTolerances): Comparison {
  let combined = AGREES;
  for (const [name, tensor] of Object.entries(expected)) {
    const other = Object.hasOwn(actual, name) ? actual[name] : undefined;
    const tolerance = toleranceOf(name, tensor.datatype, tolerances);
    const one: Comparison =
      other === undefined
        ? { agrees: false, mismatches: 0, maxError: Number.POSITIVE_INFINITY, worst: undefined, reason: 'is missing' }
        : tolerances.shapeOnly === true
          ? compareForms(tensor, other)
          : allclose(tensor, other, tolerance);
    const allowed = one.worst === undefined ? '' : `; ${describeTolerance(tensor.datatype, tolerance)}`;
    const reason = one.reason === undefined ? undefined : `output ${JSON.stringify(name)} ${one.reason}${allowed}`;
    combined = {
      agrees: combined.agrees && one.agrees,
      mismatches: combined.mismatches + one.mismatches,
      maxError: Math.max(combined.maxError, one.maxError),
      worst: one.maxError >= combined.maxError ? (one.worst ?? combined.worst) : combined.worst,
      reason: combined.reason ?? reason,
    };
  }
  const extra = Object.keys(actual).find((name) => !Object.hasOwn(expected, name));
  if (extra === undefined) return combined;
  return { ...combined, agrees: false, reason: combined.reason ?? `output ${JSON.stringify(extra)} was not expected` };
}

/** Values are read one at a time: numbers of a large tensor would not fit the heap. */
interface Numbers {
  readonly length: number;
  at(index: number): number | bigint;
}

function numbersOf(tensor: Tensor): Numbers {
  if (!isFixedSize(tensor)) return { length: 0, at: () => 0 };
  const elements = elementsOf(tensor);
  const { length } = elements;
  const form = floatForm(tensor.datatype);
  if (form === undefined) return { length, at: (index) => elements[index] ?? 0 };
  return { length, at: (index) => form.read(Number(elements[index] ?? 0)) };
}

function compareNumbers(expected: Numbers, actual: Numbers, tolerance: Tolerance): Comparison {
  let mismatches = 0;
  let maxError = 0;
  let worstExcess = Number.NEGATIVE_INFINITY;
  let worstIndex = -1;
  for (let index = 0; index < expected.length; index++) {
    const wanted = expected.at(index);
    const error = distance(wanted, actual.at(index));
    const bound = tolerance.absolute + tolerance.relative * Math.abs(Number(wanted));
    // An infinite error or a bound that is not a number is a mismatch; equal elements have error 0.
    const agrees = error === 0 || (Number.isFinite(error) && error <= bound);
    if (!agrees) mismatches++;
    maxError = Math.max(maxError, error);
    const excess = Number.isFinite(error) && Number.isFinite(bound) ? error - bound : agrees ? 0 : Number.POSITIVE_INFINITY;
    if (error > 0 && excess > worstExcess) {
      worstExcess = excess;
      worstIndex = index;
    }
  }
  const worst =
    worstIndex < 0 ? undefined : { index: worstIndex, expected: String(expected.at(worstIndex)), actual: String(actual.at(worstIndex)) };
  if (mismatches === 0 || worst === undefined) return { agrees: true, mismatches, maxError, worst, reason: undefined };
  const reason = `differs in ${mismatches} of ${expected.length} elements, most at element ${worst.index}: ${worst.actual} instead of ${worst.expected} (largest error ${maxError.toPrecision(3)})`;
  return { agrees: false, mismatches, maxError, worst, reason };
}

/** |actual - expected|; 0 for equal values (NaN equals NaN), Infinity where only one of them is NaN. */
function distance(expected: number | bigint, actual: number | bigint): number {
  if (expected === actual) return 0;
  if (typeof expected === 'bigint' && typeof actual === 'bigint') return Math.abs(Number(actual - expected));
  const error = Math.abs(Number(actual) - Number(expected));
  if (!Number.isNaN(error)) return error;
  return Number.isNaN(expected) && Number.isNaN(actual) ? 0 : Number.POSITIVE_INFINITY;
}

function compareBytes(expected: Tensor, actual: Tensor): Comparison {
  const count = elementCount(expected.shape, 'expected tensor');
  atOnce(checkBytesElements(expected.data, count, 'expected tensor'));
  atOnce(checkBytesElements(actual.data, count, 'tensor'));
  let mismatches = 0;
  let worst: Comparison['worst'];
  let wanted = nextBytesElement(expected.data, 0);
  let given = nextBytesElement(actual.data, 0);
  for (let index = 0; wanted !== undefined && given !== undefined; index++) {
    if (Buffer.compare(wanted.bytes, given.bytes) !== 0) {
      mismatches++;
      worst ??= { index, expected: textOf(wanted.bytes), actual: textOf(given.bytes) };
    }
    wanted = nextBytesElement(expected.data, wanted.end);
    given = nextBytesElement(actual.data, given.end);
  }
  if (worst === undefined) return AGREES;
  const reason = `differs in ${mismatches} of ${count} elements, first at element ${worst.index}: ${JSON.stringify(worst.actual)} instead of ${JSON.stringify(worst.expected)}`;
  return { agrees: false, mismatches, maxError: Number.POSITIVE_INFINITY, worst, reason };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8', 0, 64);
}
