import { inflateRawSync } from 'node:zlib';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { readNpy } from './npy.js';
import { namedTensors, type NamedTensors, type Tensor } from './tensor.js';

// An npz file is a zip archive (APPNOTE.TXT 6.3, sections 4.3.7, 4.3.12 and 4.3.16) of npy files, as numpy.savez writes it.

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const ENTRY_SIGNATURE = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_BYTES = 30;
const STORED = 0;
const DEFLATED = 8;
/** What a field of 32 bits says when the value stands in an extra field: the file is larger than any that is accepted here. */
const ZIP64 = 0xffffffff;

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly encrypted: boolean;
  readonly packed: number;
  readonly size: number;
  readonly localAt: number;
}

/** True for bytes that begin as a zip archive does. */
export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
}

/**
 * Reads the arrays of an npz file, compressed or not, under their names. At most `LIMITS.goldenSampleBytes` in all, however well
 * they are compressed. `NPZ_INVALID`, or `NPY_INVALID` for an array that cannot be read.
 */
export function readNpz(bytes: Uint8Array, what: string): NamedTensors {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tensors: (readonly [string, Tensor])[] = [];
  let total = 0;
  for (const entry of readDirectory(view, bytes, what)) {
    total += entry.size;
    if (total > LIMITS.goldenSampleBytes) throw invalid(what, `its arrays have more than ${LIMITS.goldenSampleBytes} bytes`);
    const name = entry.name.replace(/\.npy$/, '');
    if (tensors.some(([other]) => other === name)) throw invalid(what, `it holds two arrays called ${JSON.stringify(name)}`);
    tensors.push([name, readNpy(unpack(view, bytes, entry, what), `${entry.name} in ${what}`)]);
  }
  return namedTensors(tensors);
}

/** The central directory, which stands at the end and says where everything else is. */
function readDirectory(view: DataView, bytes: Uint8Array, what: string): readonly Entry[] {
  const endAt = findEnd(view, what);
  const count = view.getUint16(endAt + 10, true);
  if (count > LIMITS.tensorsPerModel) throw invalid(what, `it holds ${count} files, at most ${LIMITS.tensorsPerModel} are read`);
  const entries: Entry[] = [];
  let at = view.getUint32(endAt + 16, true);
  for (let index = 0; index < count; index++) {
    if (at + ENTRY_BYTES > endAt || view.getUint32(at, true) !== ENTRY_SIGNATURE) throw invalid(what, 'its list of files is damaged');
    const nameLength = view.getUint16(at + 28, true);
    entries.push({
      name: new TextDecoder().decode(bytes.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameLength)),
      encrypted: (view.getUint16(at + 8, true) & 1) === 1,
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      localAt: view.getUint32(at + 42, true),
    });
    at += ENTRY_BYTES + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

/** The record at the end may be followed by a comment of at most 64 KiB. */
function findEnd(view: DataView, what: string): number {
  for (let at = view.byteLength - END_BYTES; at >= Math.max(0, view.byteLength - END_BYTES - 0xffff); at--) {
    if (view.getUint32(at, true) === END_SIGNATURE) return at;
  }
  throw invalid(what, 'it has no list of files at its end, so it is no zip archive or not complete');
}

function unpack(view: DataView, bytes: Uint8Array, entry: Entry, what: string): Uint8Array {
  const { name, localAt, packed, size, method } = entry;
  const file = JSON.stringify(name);
  if (entry.encrypted) throw invalid(what, `${file} in it is encrypted`);
  if (size === ZIP64 || packed === ZIP64) throw invalid(what, `${file} in it is too large`);
  if (localAt + LOCAL_BYTES > bytes.byteLength || view.getUint32(localAt, true) !== LOCAL_SIGNATURE) {
    throw invalid(what, `${file} in it is damaged`);
  }
  const start = localAt + LOCAL_BYTES + view.getUint16(localAt + 26, true) + view.getUint16(localAt + 28, true);
  const data = bytes.subarray(start, start + packed);
  if (data.byteLength !== packed) throw invalid(what, `${file} in it is not complete`);
  if (method !== STORED && method !== DEFLATED)
    throw invalid(what, `${file} in it is compressed by method ${method}, which is not supported`);
  const unpacked = method === STORED ? data : inflate(data, size, file, what);
  if (unpacked.byteLength !== size) throw invalid(what, `${file} in it has ${unpacked.byteLength} bytes, ${size} were announced`);
  return unpacked;
}

function inflate(data: Uint8Array, size: number, file: string, what: string): Uint8Array {
  try {
    const { buffer, byteOffset, byteLength } = inflateRawSync(data, { maxOutputLength: Math.max(1, size) });
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (cause) {
    throw invalid(what, `${file} in it cannot be unpacked`, cause);
  }
}

function invalid(what: string, reason: string, cause?: unknown): SkerryError {
  return new SkerryError('NPZ_INVALID', `${what} cannot be read as an npz file: ${reason}`, { cause });
}
