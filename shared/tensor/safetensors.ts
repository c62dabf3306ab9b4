import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { fromBinary } from './binary.js';
import { type Datatype, elementSize } from './datatype.js';
import { elementCount } from './shape.js';
import { namedTensors, type NamedTensors, type Tensor } from './tensor.js';

// The format: https://huggingface.co/docs/safetensors, "Format": 8 bytes little-endian header length, JSON header, data.

const LENGTH_BYTES = 8;
const DTYPE_NAMES = ['BOOL', 'U8', 'U16', 'U32', 'U64', 'I8', 'I16', 'I32', 'I64', 'F16', 'F32', 'F64', 'BF16'] as const;
type Dtype = (typeof DTYPE_NAMES)[number];

const DTYPES: Readonly<Record<Dtype, Datatype>> = {
  BOOL: 'BOOL',
  U8: 'UINT8',
  U16: 'UINT16',
  U32: 'UINT32',
  U64: 'UINT64',
  I8: 'INT8',
  I16: 'INT16',
  I32: 'INT32',
  I64: 'INT64',
  F16: 'FP16',
  F32: 'FP32',
  F64: 'FP64',
  BF16: 'BF16',
};

/** The one name in the header that is no tensor's. */
const METADATA = '__metadata__';

/** The format has no strings: a BYTES tensor is stored as its bytes (U8), its shape under this key of `__metadata__`. */
const BYTES_SHAPE_KEY = 'skerry.bytes/';

const entrySchema = z.object({
  dtype: z.enum(DTYPE_NAMES),
  shape: z.array(z.int().min(0)).max(LIMITS.tensorRank),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});
type Entry = z.infer<typeof entrySchema>;
/** Not z.record, which drops a member called `__proto__`: tensors may have that name. */
const headerSchema = z.custom<Readonly<Record<string, unknown>>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'must be a JSON object',
);
const metadataSchema = headerSchema.refine((metadata): metadata is Readonly<Record<string, string>> =>
  Object.values(metadata).every((value) => typeof value === 'string'),
);
const bytesShapeSchema = z.array(z.int().min(0)).max(LIMITS.tensorRank);

interface SafetensorsFile {
  readonly tensors: NamedTensors;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Writes tensors as a safetensors file. The same tensors always give the same bytes: widest elements first, then by name. */
export function writeSafetensors(tensors: NamedTensors, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const width = (tensor: Tensor): number => elementSize(tensor.datatype) ?? 1;
  if (Object.hasOwn(tensors, METADATA)) {
    throw new SkerryError('SAFETENSORS_INVALID', `a tensor called ${METADATA} cannot be written: the format keeps that name for itself`);
  }
  const ordered = Object.entries(tensors).sort(([a, x], [b, y]) => width(y) - width(x) || (a < b ? -1 : 1));
  const entries: [string, unknown][] = [];
  const allMetadata: [string, string][] = Object.entries(metadata);
  let offset = 0;
  for (const [name, tensor] of ordered) {
    if (tensor.datatype === 'BYTES') allMetadata.push([BYTES_SHAPE_KEY + name, JSON.stringify(tensor.shape)]);
    const shape = tensor.datatype === 'BYTES' ? [tensor.data.byteLength] : tensor.shape;
    entries.push([name, { dtype: dtypeOf(tensor.datatype), shape, data_offsets: [offset, offset + tensor.data.byteLength] }]);
    offset += tensor.data.byteLength;
  }
  allMetadata.sort(([a], [b]) => (a < b ? -1 : 1));
  if (allMetadata.length > 0) entries.unshift([METADATA, Object.fromEntries(allMetadata)]);
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  // Padded with spaces, as the reference writer does, so that the data starts aligned to 8 bytes.
  const headerLength = Math.ceil(json.byteLength / 8) * 8;
  const file = new Uint8Array(LENGTH_BYTES + headerLength + offset);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerLength), true);
  file.set(json, LENGTH_BYTES);
  file.fill(0x20, LENGTH_BYTES + json.byteLength, LENGTH_BYTES + headerLength);
  let at = LENGTH_BYTES + headerLength;
  for (const [, tensor] of ordered) {
    file.set(tensor.data, at);
    at += tensor.data.byteLength;
  }
  return file;
}

/**
 * Reads a safetensors file; tensors are views over `bytes`. `SAFETENSORS_INVALID` when the header is no JSON object, an
 * offset lies outside the data, a length does not fit datatype and shape, or the tensors overlap or leave holes.
 */
export function readSafetensors(bytes: Uint8Array, what: string): SafetensorsFile {
  const { header, data } = split(bytes, what);
  const metadata = narrowMetadata(header[METADATA], what);
  const entries = Object.entries(header)
    .filter(([name]) => name !== METADATA)
    .map(([name, value]): [string, Entry] => {
      const entry = entrySchema.safeParse(value);
      if (!entry.success) throw invalid(what, `tensor ${JSON.stringify(name)} is not described by dtype, shape and data_offsets`);
      return [name, entry.data];
    });
  checkCoverage(entries, data.byteLength, what);
  const tensors = entries.map(([name, entry]): [string, Tensor] => {
    const [begin, end] = entry.data_offsets;
    return [name, readTensor(name, entry, data.subarray(begin, end), metadata, what)];
  });
  return { tensors: namedTensors(tensors), metadata };
}

function split(bytes: Uint8Array, what: string): { header: Readonly<Record<string, unknown>>; data: Uint8Array } {
  if (bytes.byteLength < LENGTH_BYTES) throw invalid(what, 'it is shorter than its 8-byte header length');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(LIMITS.safetensorsHeaderBytes)) {
    throw invalid(what, `its header claims ${length} bytes, at most ${LIMITS.safetensorsHeaderBytes} are accepted`);
  }
  const end = LENGTH_BYTES + Number(length);
  if (end > bytes.byteLength) throw invalid(what, `its header claims ${length} bytes, the file has ${bytes.byteLength}`);
  const headerBytes = bytes.subarray(LENGTH_BYTES, end);
  if (headerBytes[0] !== 0x7b) throw invalid(what, 'its header does not begin with "{"');
  const options = { what: `header of ${what}`, maxBytes: LIMITS.safetensorsHeaderBytes, code: 'SAFETENSORS_INVALID' } as const;
  return { header: parseJson(headerSchema, headerBytes, options), data: bytes.subarray(end) };
}

function narrowMetadata(value: unknown, what: string): Readonly<Record<string, string>> {
  const metadata = metadataSchema.safeParse(value ?? {});
  if (!metadata.success) throw invalid(what, '__metadata__ must map text to text');
  return metadata.data;
}

/** Format: the tensors, in order of their offsets, cover the data from its first byte to its last without holes or overlaps. */
function checkCoverage(entries: readonly [string, Entry][], dataLength: number, what: string): void {
  const ordered = entries.toSorted(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1]);
  let covered = 0;
  for (const [name, entry] of ordered) {
    const [begin, end] = entry.data_offsets;
    if (begin !== covered || end < begin || end > dataLength) {
      throw invalid(
        what,
        `tensor ${JSON.stringify(name)} has offsets [${begin},${end}], expected to begin at ${covered} within ${dataLength} bytes`,
      );
    }
    covered = end;
  }
  if (covered !== dataLength) throw invalid(what, `${dataLength - covered} bytes of its data belong to no tensor`);
}

function readTensor(name: string, entry: Entry, data: Uint8Array, metadata: Readonly<Record<string, string>>, what: string): Tensor {
  const label = `tensor ${JSON.stringify(name)} of ${what}`;
  const key = BYTES_SHAPE_KEY + name;
  const bytesShape = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
  try {
    if (bytesShape === undefined) return fromBinary(DTYPES[entry.dtype], entry.shape, data, label);
    const options = { what: `shape of ${label}`, maxBytes: 1024, code: 'SAFETENSORS_INVALID' } as const;
    const shape = parseJson(bytesShapeSchema, new TextEncoder().encode(bytesShape), options);
    elementCount(shape, label);
    return fromBinary('BYTES', shape, data, label);
  } catch (cause) {
    throw cause instanceof SkerryError ? invalid(what, cause.message, cause) : cause;
  }
}

function dtypeOf(datatype: Datatype): Dtype {
  const found = DTYPE_NAMES.find((dtype) => DTYPES[dtype] === datatype);
  return found ?? 'U8';
}

function invalid(what: string, reason: string, cause?: unknown): SkerryError {
  return new SkerryError('SAFETENSORS_INVALID', `${what} is not a valid safetensors file: ${reason}`, { cause });
}
