// The few pieces of the Protocol Buffers wire format (protobuf.dev/programming-guides/encoding) that a writer needs.

export function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** Wire type 0. */
export function intField(field: number, value: number | bigint): Uint8Array {
  return concat(varint(field * 8), varint(value));
}

/** Wire type 2: text, bytes or a message. */
export function bytesField(field: number, value: Uint8Array | string): Uint8Array {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return concat(bytesFieldHeader(field, bytes.byteLength), bytes);
}

/** Tag and length of a wire type 2 field whose `length` bytes follow. */
export function bytesFieldHeader(field: number, length: number): Uint8Array {
  return concat(varint(field * 8 + 2), varint(length));
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
