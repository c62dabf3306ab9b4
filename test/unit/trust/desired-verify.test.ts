import { describe, expect, it } from 'vitest';
import { hours } from '#shared/kernel/time.js';
import { DESIRED_PAYLOAD_TYPE, type DesiredState, desiredStateSchema } from '#shared/trust/desired.js';
import { type DesiredContext, signDesired, verifyDesired } from '#shared/trust/decide/desired-verify.js';
import { signEnvelope } from '#shared/trust/dsse.js';
import { generateSigningKey } from '#shared/trust/keys.js';

const director = generateSigningKey();
const stranger = generateSigningKey();
const now = Date.parse('2026-05-01T12:00:00Z');

function desired(change: Partial<Record<keyof DesiredState, unknown>> = {}): DesiredState {
  return desiredStateSchema.parse({
    schema: 'skerry.desired/1',
    fleet: 'home',
    device: 'dev-1',
    counter: 5,
    issuedAt: new Date(now - hours(1)).toISOString(),
    expires: new Date(now + hours(1)).toISOString(),
    models: [{ model: 'vad', version: 2, manifest: 'ab'.repeat(32), attempt: 0 }],
    ...change,
  });
}

const context: DesiredContext = { fleet: 'home', device: 'dev-1', directorKeys: [director.publicKey], last: undefined, now };

describe('verifyDesired', () => {
  it('accepts a fresh statement for this device', () => {
    const verdict = verifyDesired(signDesired(desired(), director), context);
    expect(verdict).toMatchObject({ kind: 'accepted', issuedAt: now - hours(1), desired: { counter: 5 } });
  });

  it('calls the same statement unchanged, even after it expired', () => {
    const bytes = signDesired(desired(), director);
    const { digest } = verifyDesired(bytes, context);
    const last = { counter: 5, digest };
    expect(verifyDesired(bytes, { ...context, last }).kind).toBe('unchanged');
    expect(verifyDesired(bytes, { ...context, last, now: now + hours(2) }).kind).toBe('unchanged');
    expect(verifyDesired(signDesired(desired({ counter: 6 }), director), { ...context, last }).kind).toBe('accepted');
  });

  const encode = (value: unknown): Uint8Array => signEnvelope(DESIRED_PAYLOAD_TYPE, Buffer.from(JSON.stringify(value)), [director]);
  const refusals: readonly [string, string, Uint8Array, Partial<DesiredContext>][] = [
    ['signed by a stranger', 'TRUST_DESIRED_SIGNATURE', signDesired(desired(), stranger), {}],
    ['when no director key is known', 'TRUST_DESIRED_SIGNATURE', signDesired(desired(), director), { directorKeys: [] }],
    ['of another payload type', 'TRUST_DESIRED_FORMAT', signEnvelope('text/plain', Buffer.from('{}'), [director]), {}],
    ['that is no envelope', 'TRUST_DESIRED_FORMAT', Buffer.from('[]'), {}],
    ['in another format', 'TRUST_DESIRED_FORMAT', encode({ ...desired(), schema: 'skerry.other/1' }), {}],
    ['in a later format', 'FORMAT_NEWER', encode({ ...desired(), schema: 'skerry.desired/2' }), {}],
    ['with a date that is none', 'TRUST_DESIRED_FORMAT', encode({ ...desired(), expires: 'never' }), {}],
    ['with a day that does not exist', 'TRUST_DESIRED_FORMAT', encode({ ...desired(), expires: '2026-02-30T00:00:00Z' }), {}],
    ['that expires before it was issued', 'TRUST_DESIRED_DATE', signDesired(desired({ expires: desired().issuedAt }), director), {}],
    ['too large', 'INPUT_TOO_LARGE', new Uint8Array(300_000), {}],
    ['for another fleet', 'TRUST_DESIRED_FLEET', signDesired(desired({ fleet: 'away' }), director), {}],
    ['for another device', 'TRUST_DESIRED_DEVICE', signDesired(desired({ device: 'dev-2' }), director), {}],
    ['older than the last', 'TRUST_DESIRED_REPLAY', signDesired(desired(), director), { last: { counter: 6, digest: '' } }],
    ['with the counter of another', 'TRUST_DESIRED_CONFLICT', signDesired(desired(), director), { last: { counter: 5, digest: '' } }],
    ['that expired', 'TRUST_DESIRED_EXPIRED', signDesired(desired(), director), { now: now + hours(1) }],
  ];
  it.each(refusals)('refuses one %s with %s', (_name, code, bytes, change) => {
    expect(() => verifyDesired(bytes, { ...context, ...change })).toThrow(expect.objectContaining({ code }));
  });
});
