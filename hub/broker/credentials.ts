import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Presence } from '#shared/protocol/messages.js';

/** Where the broker looks a device's password up: its SHA-256, `undefined` for an unknown or revoked device. */
export interface DeviceCredentials {
  passwordHash(device: string): Promise<Uint8Array | undefined>;
  /** True for a start of a copy of the device, which would throw the device off with every connection; from then on it is known by its name. */
  isCopy(device: string, start: Pick<Presence, 'bootId' | 'afterBootId' | 'host'>): Promise<boolean>;
}

/** Which blobs a device may listen to. */
export interface FetchPolicy {
  mayFetch(device: string, digest: string): Promise<boolean>;
}

/** A new MQTT password: 32 random bytes, base64url. */
export function newPassword(): string {
  return randomBytes(32).toString('base64url');
}

/**
 * SHA-256 of a password. A slow hash buys nothing here: the password is 256 random bits and never chosen by a person,
 * and every reconnect of a fleet would pay for it.
 */
export function hashPassword(password: string | Uint8Array): Uint8Array {
  return createHash('sha256').update(password).digest();
}

/** Compares in constant time; an unknown device costs as much as a wrong password. */
export function passwordMatches(password: Uint8Array, expected: Uint8Array | undefined): boolean {
  const actual = hashPassword(password);
  const reference = expected?.byteLength === actual.byteLength ? expected : new Uint8Array(actual.byteLength);
  return timingSafeEqual(actual, reference) && reference === expected;
}
