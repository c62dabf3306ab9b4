/** Element types under their Open Inference Protocol names (OIP v2, "Tensor Data Types"). */
export const DATATYPES = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
  'BF16',
  'BYTES',
] as const;
export type Datatype = (typeof DATATYPES)[number];

/** Bytes one element takes; `undefined` for BYTES, whose elements have a length of their own. */
export function elementSize(datatype: Datatype): number | undefined {
  return ELEMENT_SIZES[datatype];
}

const ELEMENT_SIZES: Readonly<Record<Datatype, number | undefined>> = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
  BF16: 2,
  BYTES: undefined,
};
