import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SkerryError } from '#shared/kernel/errors.js';
import { preAuthenticationEncoding, signEnvelope, verifyEnvelope } from '#shared/trust/dsse.js';
import { generateSigningKey } from '#shared/trust/keys.js';

const key = generateSigningKey();
const other = generateSigningKey();
const options = { payloadType: 'application/vnd.skerry.test', keys: [key.publicKey], maxBytes: 65_536, what: 'test envelope' };

/** Code of the refusal of these bytes, or what else happened. */
function refusal(bytes: Uint8Array): string {
  try {
    verifyEnvelope(bytes, options);
    return 'accepted';
  } catch (thrown) {
    return thrown instanceof SkerryError ? thrown.code : String(thrown);
  }
}

describe('DSSE envelopes', () => {
  it('encode as the specification shows', () => {
    const encoded = preAuthenticationEncoding('http://example.com/HelloWorld', Buffer.from('hello world'));
    expect(Buffer.from(encoded).toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
  });

  it('give back what was signed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (payload) => {
        const opened = verifyEnvelope(signEnvelope(options.payloadType, payload, [other, key]), options);
        expect(Buffer.from(opened)).toEqual(Buffer.from(payload));
      }),
      { numRuns: 30 },
    );
  });

  it('are refused with any one bit flipped', () => {
    const envelope = signEnvelope(options.payloadType, Buffer.from('{"a":1}'), [key]);
    for (let bit = 0; bit < envelope.byteLength * 8; bit += 1) {
      const flipped = Uint8Array.from(envelope);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(refusal(flipped), `bit ${bit}`).toMatch(/^TRUST_ENVELOPE_/);
    }
  });

  it.each([
    ['by nobody trusted', 'TRUST_ENVELOPE_SIGNATURE', () => signEnvelope(options.payloadType, Buffer.from('x'), [other])],
    ['for another type', 'TRUST_ENVELOPE_TYPE', () => signEnvelope('text/plain', Buffer.from('x'), [key])],
    ['too large', 'INPUT_TOO_LARGE', () => signEnvelope(options.payloadType, new Uint8Array(65_536), [key])],
    ['not JSON', 'TRUST_ENVELOPE_FORMAT', () => Buffer.from('{')],
    ['not UTF-8', 'TRUST_ENVELOPE_FORMAT', () => Buffer.from([0xff])],
  ])('signed or made %s are refused', (_name, code, make) => {
    expect(() => verifyEnvelope(make(), options)).toThrow(expect.objectContaining({ code }));
  });
});
