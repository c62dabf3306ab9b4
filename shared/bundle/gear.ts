import { createHash } from 'node:crypto';

/**
 * The gear table of the chunker: 256 random-looking 32-bit words, one per byte value, each the first four bytes (big-endian)
 * of SHA-256("skerry.gear/1:<value>"). A test locks it: another table would cut every file elsewhere, and no device could
 * reuse what it has.
 */
export const GEAR: Uint32Array = Uint32Array.from({ length: 256 }, (_, value) =>
  createHash('sha256').update(`skerry.gear/1:${value}`).digest().readUInt32BE(0),
);
