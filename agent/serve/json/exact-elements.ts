import { SkerryError } from '#shared/kernel/errors.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { isObject, type JsonObject } from './fields.js';

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Whether an object stands for a string by its bytes: `{"b64": "..."}`. */
export function isBase64(value: JsonObject): boolean {
  return typeof value['b64'] === 'string' && Object.keys(value).length === 1;
}

/** A value as it is, in the form that the readers of JSON elements take. Errors: `TENSOR_DATA` for what is no base64. */
export function exactElement(datatype: Datatype, value: unknown): unknown {
  if (typeof value === 'bigint') return FLOATS.has(datatype) ? Number(value) : value.toString();
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  return datatype === 'BYTES' && isObject(value) && isBase64(value) ? base64Bytes(value['b64']) : value;
}

const FLOATS: ReadonlySet<Datatype> = new Set(['FP16', 'BF16', 'FP32', 'FP64']);

function base64Bytes(text: unknown): Uint8Array {
  if (typeof text === 'string' && BASE64.test(text)) return Buffer.from(text, 'base64');
  throw new SkerryError('TENSOR_DATA', 'Unable to base64 decode');
}
