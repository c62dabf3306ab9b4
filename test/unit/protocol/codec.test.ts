import { encode as encodeCbor } from 'cborg';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { decodeMessage, encodeMessage, type MessageOf } from '#shared/protocol/codec.js';
import type { DeviceId } from '#shared/protocol/device.js';

const device = 'lab-1' as DeviceId;
const at = '2026-11-22T02:00:00.000Z';
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (thrown) {
    return hasCode(thrown, 'PROTOCOL_MESSAGE_INVALID') ? 'PROTOCOL_MESSAGE_INVALID' : (thrown as { code: string }).code;
  }
  return 'none';
};

const telemetry: MessageOf<'telemetry'> = {
  device,
  boot: 2,
  seq: 7,
  from: 1_000,
  to: 2_000,
  windows: [],
  health: {
    rssBytes: 1,
    cpuSeconds: 0.5,
    freeMemoryBytes: 2,
    diskUsedBytes: 3,
    uptimeSeconds: 4,
    loopDelayP99Ms: 1.25,
  },
};

describe('byte vectors: what is on the wire changes only on purpose', () => {
  it('presence', () => {
    const bytes = encodeMessage('presence', { device, session: 'abcdefgh', boot: 3, connection: 1, state: 'online', at });
    expect(text(bytes)).toBe(
      '{"device":"lab-1","session":"abcdefgh","boot":3,"connection":1,"state":"online","at":"2026-11-22T02:00:00.000Z"}',
    );
  });

  it('fetch', () => {
    const digest = '00'.repeat(32) as MessageOf<'fetch'>['digest'];
    const bytes = encodeMessage('fetch', { device, id: 'f1', kind: 'artifact', digest, pieces: 10, missing: '/wM=' });
    expect(text(bytes)).toBe(`{"device":"lab-1","id":"f1","kind":"artifact","digest":"${digest}","pieces":10,"missing":"/wM="}`);
  });

  it('telemetry is deterministic CBOR: map keys by length, then bytes', () => {
    expect(hex(encodeMessage('telemetry', telemetry))).toBe(
      'a762746f1907d06373657107' +
        '64626f6f740264' +
        '66726f6d1903e866646576696365656c61622d31666865616c7468a668727373427974657301' +
        '6a6370755365636f6e6473f938006d6469736b55736564427974657303' +
        '6d757074696d655365636f6e6473046e6c6f6f7044656c617950' +
        '39394d73f93d006f667265654d656d6f727942797465730267' +
        '77696e646f777380',
    );
  });
});

describe('round trip', () => {
  const word = fc.stringMatching(/^[a-z0-9]{8,20}$/);
  it('presence', () => {
    fc.assert(
      fc.property(
        word,
        fc.integer({ min: 1 }),
        fc.integer({ min: 1 }),
        fc.constantFrom('online', 'offline'),
        (session, boot, connection, state) => {
          const message = { device, session, boot, connection, state, at } as const;
          expect(decodeMessage('presence', encodeMessage('presence', message), device)).toEqual(message);
        },
      ),
    );
  });

  it('telemetry, with sketches of any bytes', () => {
    const sketch = fc.uint8Array({ maxLength: 300 });
    const window = fc.record({
      model: fc.constant('vad'),
      version: fc.integer({ min: 1 }),
      variant: fc.constant('fp32'),
      provider: fc.constant('cpu'),
      predictions: fc.nat(),
      errors: fc.dictionary(fc.stringMatching(/^[A-Z_]{1,20}$/), fc.nat()),
      queue: sketch,
      compute: sketch,
      total: sketch,
    });
    fc.assert(
      fc.property(fc.array(window, { maxLength: 5 }), fc.integer({ min: 1 }), (windows, seq) => {
        const message = { ...telemetry, seq, windows } as MessageOf<'telemetry'>;
        const decoded = decodeMessage('telemetry', encodeMessage('telemetry', message), device);
        expect(JSON.stringify(decoded, null, 0).length).toBeGreaterThan(0);
        expect(decoded.windows.map((item) => hex(item.total))).toEqual(windows.map((item) => hex(item.total)));
        expect({ ...decoded, windows: [] }).toEqual({ ...message, windows: [] });
      }),
    );
  });

  it('never throws anything but a coded error on any bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('cmd', 'ack', 'telemetry', 'event', 'fetch', 'reported'),
        (bytes, channel) => {
          expect(codeOf(() => decodeMessage(channel, bytes, device))).toBe('PROTOCOL_MESSAGE_INVALID');
        },
      ),
    );
  });
});

describe('refusals', () => {
  it('a message that names another device than its topic', () => {
    const bytes = encodeMessage('cmd', { device, id: 'c', expires: at, kind: 'report' });
    expect(codeOf(() => decodeMessage('cmd', bytes, 'lab-2'))).toBe('PROTOCOL_DEVICE_MISMATCH');
  });

  it('a message over its size, before it is parsed', () => {
    expect(codeOf(() => decodeMessage('event', new Uint8Array(LIMITS.eventBytes + 1), device))).toBe('INPUT_TOO_LARGE');
    expect(codeOf(() => decodeMessage('telemetry', new Uint8Array(LIMITS.telemetryBytes + 1), device))).toBe('INPUT_TOO_LARGE');
  });

  it('dates that do not parse, unknown kinds, NaN, numbers in long form', () => {
    const cmd = { device, id: 'c', expires: at, kind: 'report' };
    expect(codeOf(() => decodeMessage('cmd', json({ ...cmd, expires: 'tomorrow' }), device))).toBe('PROTOCOL_MESSAGE_INVALID');
    expect(codeOf(() => decodeMessage('cmd', json({ ...cmd, kind: 'explode' }), device))).toBe('PROTOCOL_MESSAGE_INVALID');
    const nan = encodeCbor({ ...telemetry, health: { ...telemetry.health, cpuSeconds: Number.NaN } });
    expect(codeOf(() => decodeMessage('telemetry', nan, device))).toBe('PROTOCOL_MESSAGE_INVALID');
    // 0x1801 is 1 with a byte too many; strict decoding wants 0x01 (RFC 8949, 4.2.1).
    expect(codeOf(() => decodeMessage('telemetry', Buffer.from('a1637365711801', 'hex'), device))).toBe('PROTOCOL_MESSAGE_INVALID');
  });

  it('ignores fields of a newer minor version', () => {
    const bytes = json({ device, id: 'c', expires: at, kind: 'report', later: true });
    expect(decodeMessage('cmd', bytes, device)).toEqual({ device, id: 'c', expires: at, kind: 'report' });
  });
});
