// A set of piece indices as bytes: index i is bit (i & 7) of byte (i >> 3), as the fetch protocol sends it.

/** Bytes a bitmap over `size` indices takes. */
function bitmapBytes(size: number): number {
  return Math.ceil(size / 8);
}

export function emptyBitmap(size: number): Uint8Array {
  return new Uint8Array(bitmapBytes(size));
}

/** A bitmap holding every index below `size`; the bits past it stay 0. */
export function fullBitmap(size: number): Uint8Array {
  const bitmap = new Uint8Array(bitmapBytes(size)).fill(0xff);
  const rest = size & 7;
  if (rest !== 0) bitmap[bitmap.length - 1] = (1 << rest) - 1;
  return bitmap;
}

export function hasBit(bitmap: Uint8Array, index: number): boolean {
  return (((bitmap[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
}

/** Sets bit `index`; an index past the end is ignored. */
export function setBit(bitmap: Uint8Array, index: number): void {
  bitmap[index >> 3] = (bitmap[index >> 3] ?? 0) | (1 << (index & 7));
}

/** Clears bit `index`; an index past the end is ignored. */
export function clearBit(bitmap: Uint8Array, index: number): void {
  bitmap[index >> 3] = (bitmap[index >> 3] ?? 0) & ~(1 << (index & 7));
}

/** Number of indices in the set. */
export function countBits(bitmap: Uint8Array): number {
  let count = 0;
  for (const byte of bitmap) {
    for (let bits = byte; bits !== 0; bits &= bits - 1) count++;
  }
  return count;
}

/** The indices in the set, ascending. */
export function* bitIndices(bitmap: Uint8Array): Generator<number> {
  for (const [at, byte] of bitmap.entries()) {
    for (let bit = 0; bit < 8; bit++) {
      if (((byte >> bit) & 1) === 1) yield at * 8 + bit;
    }
  }
}

export function bitmapToBase64(bitmap: Uint8Array): string {
  return Buffer.from(bitmap.buffer, bitmap.byteOffset, bitmap.byteLength).toString('base64');
}

/**
 * Reads a bitmap over `size` indices; `undefined` when the text has another length than that takes, is not base64, or has
 * a bit set past the last index.
 */
export function bitmapFromBase64(text: string, size: number): Uint8Array | undefined {
  if (text.length !== Math.ceil(bitmapBytes(size) / 3) * 4) return undefined;
  const bytes = Buffer.from(text, 'base64');
  if (bytes.byteLength !== bitmapBytes(size) || bytes.toString('base64') !== text) return undefined;
  const bitmap = new Uint8Array(bytes);
  const rest = size & 7;
  const last = bitmap.at(-1) ?? 0;
  return rest !== 0 && last >> rest !== 0 ? undefined : bitmap;
}
