import type { Datatype } from './datatype.js';
import { bfloat16ToNumber, halfToNumber, numberToBfloat16, numberToHalf } from './half.js';

/** How the elements of a floating-point datatype stand for numbers. */
export interface FloatForm {
  /** The number of an element. */
  readonly read: (element: number) => number;
  /** What an element array holds for the nearest of the type; too large becomes infinity. */
  readonly write: (value: number) => number;
}

const same = (value: number): number => value;

const FORMS: Readonly<Partial<Record<Datatype, FloatForm>>> = {
  FP16: { read: halfToNumber, write: numberToHalf },
  BF16: { read: bfloat16ToNumber, write: numberToBfloat16 },
  // Their arrays hold numbers, and round by themselves.
  FP32: { read: same, write: same },
  FP64: { read: same, write: same },
};

/** `undefined` for datatypes that hold whole numbers, booleans or strings. */
export function floatForm(datatype: Datatype): FloatForm | undefined {
  return FORMS[datatype];
}
