import { LIMITS } from '#shared/kernel/limits.js';
import { npyInvalid } from './npy-invalid.js';

const MAGIC = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59);
const ALIGNMENT = 64;

/** What the header of an npy file says. */
interface NpyHeader {
  /** NumPy's type string, such as `<f4`. */
  readonly descr: string;
  readonly shape: readonly number[];
  /** Where the elements begin. */
  readonly dataAt: number;
}

/** True for bytes that begin as every npy file does. */
export function isNpy(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, at) => bytes[at] === byte);
}

/** Reads the header; `NPY_INVALID` also for arrays in Fortran order and for records. */
export function readNpyHeader(bytes: Uint8Array, what: string): NpyHeader {
  if (!isNpy(bytes)) throw npyInvalid(what, 'it does not begin as one');
  const [major = 0] = bytes.subarray(6, 7);
  if (major < 1 || major > 3) throw npyInvalid(what, `it has version ${major} of the format, 1 to 3 are known`);
  const lengthBytes = major === 1 ? 2 : 4;
  const textAt = MAGIC.byteLength + 2 + lengthBytes;
  if (bytes.byteLength < textAt) throw npyInvalid(what, 'it ends within its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > LIMITS.npyHeaderBytes) throw npyInvalid(what, `its header has ${length} bytes, at most ${LIMITS.npyHeaderBytes} are read`);
  if (textAt + length > bytes.byteLength) throw npyInvalid(what, 'it ends within its header');
  const text = new TextDecoder().decode(bytes.subarray(textAt, textAt + length)).trim();
  return { ...readDictionary(text, what), dataAt: textAt + length };
}

/** The header is a Python dictionary of three members, in any order. */
function readDictionary(text: string, what: string): Pick<NpyHeader, 'descr' | 'shape'> {
  if (!text.startsWith('{') || !text.endsWith('}')) throw npyInvalid(what, 'its header is no dictionary');
  if (/["']descr["']\s*:\s*\[/.test(text)) throw npyInvalid(what, 'its elements are records of several fields; save each field by itself');
  const descr = /["']descr["']\s*:\s*(["'])([^"']*)\1/.exec(text)?.[2];
  const fortran = /["']fortran_order["']\s*:\s*(True|False)/.exec(text)?.[1];
  const sizes = /["']shape["']\s*:\s*\(([^)]*)\)/.exec(text)?.[1];
  if (descr === undefined || fortran === undefined || sizes === undefined) {
    throw npyInvalid(what, 'its header lacks "descr", "fortran_order" or "shape"');
  }
  if (fortran === 'True') {
    throw npyInvalid(what, 'its elements are in Fortran order; save numpy.ascontiguousarray(x) instead of x');
  }
  return { descr, shape: readShape(sizes, what) };
}

function readShape(text: string, what: string): readonly number[] {
  const parts = text.split(',').map((part) => part.trim());
  // A tuple of one ends with a comma; Python 2 wrote an L behind its numbers.
  if (parts.at(-1) === '') parts.pop();
  return parts.map((part) => {
    const size = /^(\d{1,15})L?$/.exec(part)?.[1];
    if (size === undefined) throw npyInvalid(what, `its shape (${text}) is none`);
    return Number(size);
  });
}

/** A file of version 1.0: the header, filled up with blanks so that the elements begin at a multiple of 64, then `data`. */
export function writeNpyHeader(descr: string, shape: readonly number[], data: Uint8Array): Uint8Array {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const start = MAGIC.byteLength + 4;
  const dataAt = Math.ceil((start + text.length + 1) / ALIGNMENT) * ALIGNMENT;
  const header = `${text.padEnd(dataAt - start - 1)}\n`;
  const file = new Uint8Array(dataAt + data.byteLength);
  file.set(MAGIC);
  file.set([1, 0], MAGIC.byteLength);
  new DataView(file.buffer).setUint16(MAGIC.byteLength + 2, header.length, true);
  file.set(new TextEncoder().encode(header), start);
  file.set(data, dataAt);
  return file;
}
