import { SkerryError } from '#shared/kernel/errors.js';

const LENGTH_BYTES = 4;

/** Joins BYTES elements, each behind its 4-byte little-endian length (OIP v2 binary tensor data extension). */
export function joinBytesElements(elements: readonly Uint8Array[]): Uint8Array {
  const data = new Uint8Array(elements.reduce((sum, element) => sum + LENGTH_BYTES + element.byteLength, 0));
  const view = new DataView(data.buffer);
  let offset = 0;
  for (const element of elements) {
    view.setUint32(offset, element.byteLength, true);
    data.set(element, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + element.byteLength;
  }
  return data;
}

/** Splits a BYTES tensor's data into `count` elements (views, not copies); `TENSOR_DATA` when lengths and bytes do not add up. */
export function splitBytesElements(data: Uint8Array, count: number, what: string): readonly Uint8Array[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const elements: Uint8Array[] = [];
  let offset = 0;
  while (offset < data.byteLength && elements.length < count) {
    const start = offset + LENGTH_BYTES;
    const end = start > data.byteLength ? start : start + view.getUint32(offset, true);
    if (end > data.byteLength) {
      throw new SkerryError('TENSOR_DATA', `${what}: element ${elements.length} ends at byte ${end}, beyond the ${data.byteLength} given`);
    }
    elements.push(data.subarray(start, end));
    offset = end;
  }
  if (elements.length !== count || offset !== data.byteLength) {
    const found =
      elements.length === count ? `${count} elements and ${data.byteLength - offset} bytes too many` : `${elements.length} elements`;
    throw new SkerryError('TENSOR_DATA', `${what}: its shape asks for ${count} BYTES elements, the data holds ${found}`);
  }
  return elements;
}
