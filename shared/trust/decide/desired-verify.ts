import { createHash } from 'node:crypto';
import { type EpochMillis, parseTimestamp } from '#shared/kernel/time.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { DESIRED_PAYLOAD_TYPE, type DesiredState, desiredStateSchema } from '../desired.js';
import { signEnvelope, verifyEnvelope } from '../dsse.js';
import type { PublicKey, SigningKey } from '../keys.js';

/** The last desired state a device accepted. */
interface AcceptedDesired {
  readonly counter: number;
  /** SHA-256 of its payload bytes, hex. */
  readonly digest: string;
}

/** Everything the verdict depends on beside the bytes. */
export interface DesiredContext {
  readonly fleet: string;
  readonly device: string;
  /** From the verified target `hub/director.json`. */
  readonly directorKeys: readonly PublicKey[];
  readonly last: AcceptedDesired | undefined;
  /** Trusted time (shared/trust/decide/trusted-time.ts). */
  readonly now: EpochMillis;
  /** The latest time it may be dated with, where the device can tell. */
  readonly latest?: EpochMillis;
}

interface DesiredVerdict {
  /** `unchanged`: the very statement accepted before, delivered again (a retained message after a reconnect); it may have expired since. */
  readonly kind: 'accepted' | 'unchanged';
  readonly desired: DesiredState;
  /** The signed bytes, with members that only a later release knows. */
  readonly payload: Uint8Array;
  readonly digest: string;
  readonly issuedAt: EpochMillis;
}

interface Opened {
  readonly desired: DesiredState;
  readonly payload: Uint8Array;
  readonly digest: string;
  readonly issuedAt: EpochMillis;
  readonly expires: EpochMillis;
}

interface Check {
  readonly name: string;
  readonly code: ErrorCode;
  readonly holds: (opened: Opened, context: DesiredContext) => boolean;
  readonly says: (opened: Opened, context: DesiredContext) => string;
}

/** What must hold of an opened desired state, in this order (Uptane 5.4.4.6, "full verification", for one Director). */
const DESIRED_CHECKS: readonly Check[] = [
  {
    name: 'fleet',
    code: 'TRUST_DESIRED_FLEET',
    holds: ({ desired }, context) => desired.fleet === context.fleet,
    says: ({ desired }, context) => `it is for fleet ${desired.fleet}, this is ${context.fleet}`,
  },
  {
    name: 'device',
    code: 'TRUST_DESIRED_DEVICE',
    holds: ({ desired }, context) => desired.device === context.device,
    says: ({ desired }, context) => `it is for device ${desired.device}, this is ${context.device}`,
  },
  {
    name: 'counter',
    code: 'TRUST_DESIRED_REPLAY',
    holds: ({ desired }, { last }) => last === undefined || desired.counter >= last.counter,
    says: ({ desired }, { last }) => `its counter is ${desired.counter}, ${last?.counter ?? 0} was accepted before`,
  },
  {
    name: 'same counter, same content',
    code: 'TRUST_DESIRED_CONFLICT',
    holds: ({ desired, digest }, { last }) => last === undefined || desired.counter > last.counter || digest === last.digest,
    says: ({ desired }) => `another content was accepted under counter ${desired.counter}`,
  },
  {
    name: 'not dated ahead',
    code: 'TRUST_SIGNED_IN_FUTURE',
    holds: (opened, context) => isUnchanged(opened, context.last) || opened.issuedAt <= (context.latest ?? opened.issuedAt),
    says: ({ desired }, { latest }) => `it is dated ${desired.issuedAt}, later than ${new Date(latest ?? 0).toISOString()}`,
  },
  {
    name: 'expiry',
    code: 'TRUST_DESIRED_EXPIRED',
    holds: (opened, context) => isUnchanged(opened, context.last) || context.now < opened.expires,
    says: ({ desired }, { now }) => `it expired at ${desired.expires}, it is ${new Date(now).toISOString()}`,
  },
];

/**
 * Verifies the bytes of a `desired` topic for this device: envelope (size, schema, payload type, signature), payload schema,
 * dates, then `DESIRED_CHECKS`. Throws the first failing check's code; nothing is decided about storing it.
 */
export function verifyDesired(bytes: Uint8Array, context: DesiredContext): DesiredVerdict {
  const opened = openDesired(bytes, context.directorKeys);
  for (const check of DESIRED_CHECKS) {
    if (!check.holds(opened, context)) {
      const { counter, device, fleet } = opened.desired;
      throw new SkerryError(check.code, `desired state refused: ${check.says(opened, context)}`, {
        details: { check: check.name, counter, device, fleet },
      });
    }
  }
  const { desired, payload, digest, issuedAt } = opened;
  return { kind: isUnchanged(opened, context.last) ? 'unchanged' : 'accepted', desired, payload, digest, issuedAt };
}

/** A desired state that this hub signed before: any whose signature holds, whatever its dates. Throws as `verifyDesired`. */
export function readSigned(
  bytes: Uint8Array,
  context: Pick<DesiredContext, 'fleet' | 'device' | 'directorKeys'>,
): Pick<DesiredVerdict, 'desired' | 'digest' | 'issuedAt'> & { readonly expires: EpochMillis } {
  const { desired, digest, issuedAt } = verifyDesired(bytes, { ...context, last: undefined, now: 0 });
  return { desired, digest, issuedAt, expires: parseTimestamp(desired.expires) ?? 0 };
}

/** Signs a desired state for the `desired` topic of its device. */
export function signDesired(desired: DesiredState, key: SigningKey): Uint8Array {
  return signEnvelope(DESIRED_PAYLOAD_TYPE, new TextEncoder().encode(JSON.stringify(desired)), [key]);
}

function openDesired(bytes: Uint8Array, keys: readonly PublicKey[]): Opened {
  const payload = openEnvelope(bytes, keys);
  const desired = parseJson(desiredStateSchema, payload, {
    what: 'desired state',
    maxBytes: LIMITS.desiredBytes,
    code: 'TRUST_DESIRED_FORMAT',
  });
  const issuedAt = parseTimestamp(desired.issuedAt);
  const expires = parseTimestamp(desired.expires);
  if (issuedAt === undefined || expires === undefined || issuedAt >= expires) {
    const message = `desired state refused: issued at ${desired.issuedAt}, expires ${desired.expires}: no period of time`;
    throw new SkerryError('TRUST_DESIRED_DATE', message);
  }
  return { desired, payload, digest: createHash('sha256').update(payload).digest('hex'), issuedAt, expires };
}

function openEnvelope(bytes: Uint8Array, keys: readonly PublicKey[]): Uint8Array {
  try {
    return verifyEnvelope(bytes, { payloadType: DESIRED_PAYLOAD_TYPE, keys, maxBytes: LIMITS.desiredBytes, what: 'desired state' });
  } catch (cause) {
    if (!(cause instanceof SkerryError) || cause.code === 'INPUT_TOO_LARGE') throw cause;
    const code = cause.code === 'TRUST_ENVELOPE_SIGNATURE' ? 'TRUST_DESIRED_SIGNATURE' : 'TRUST_DESIRED_FORMAT';
    throw new SkerryError(code, cause.message, cause.details === undefined ? { cause } : { cause, details: cause.details });
  }
}

function isUnchanged({ desired, digest }: Opened, last: AcceptedDesired | undefined): boolean {
  return last !== undefined && last.counter === desired.counter && last.digest === digest;
}
