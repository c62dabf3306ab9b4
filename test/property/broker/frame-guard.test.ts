import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameGuard } from '#hub/broker/frame-guard.js';

/** An MQTT packet with `length` bytes after its fixed header. */
function packet(length: number): Uint8Array {
  const bytes = [0x30];
  let rest = length;
  do {
    bytes.push((rest % 128) | (rest >= 128 ? 0x80 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.concat([Uint8Array.from(bytes), new Uint8Array(length)]);
}

/** Cuts `bytes` at the given places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const edges = [0, ...sorted, bytes.length];
  return edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
}

describe('FrameGuard', () => {
  it('passes a stream of packets within the limits, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(400), { minLength: 1, maxLength: 10 }), fc.array(fc.nat(5_000)), (lengths, places) => {
        const stream = Buffer.concat([packet(100), ...lengths.map(packet)]);
        const guard = new FrameGuard({ connectBytes: 100, packetBytes: 400 });
        expect(cut(stream, places).map((part) => guard.feed(part))).not.toContain('too-large');
      }),
    );
  });

  it('stops at a packet that is too large before its payload arrives', () => {
    const guard = new FrameGuard({ connectBytes: 100, packetBytes: 400 });
    expect(guard.feed(packet(10))).toBe('ok');
    expect(guard.feed(packet(401).subarray(0, 3))).toBe('too-large');
  });

  it('holds the first packet to the limit of CONNECT', () => {
    expect(new FrameGuard({ connectBytes: 100, packetBytes: 400 }).feed(packet(101))).toBe('too-large');
  });

  it('refuses a length of more than four bytes', () => {
    expect(new FrameGuard({ connectBytes: 100, packetBytes: 400 }).feed(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0xff, 1))).toBe('malformed');
  });
});
