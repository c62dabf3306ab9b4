import { createHash } from 'node:crypto';
import type { VersionNumber } from '#shared/bundle/names.js';
import type { TrafficPolicy } from '../contract.js';

/** What of a request decides where it goes. */
interface RequestTraits {
  readonly key: string | undefined;
  /** Uniform in [0, 1), drawn for this request. */
  readonly random: number;
}

/** Where a request goes: the version that answers, and the one that runs on a copy of it. */
interface Direction {
  readonly answers: VersionNumber;
  readonly shadow: VersionNumber | undefined;
}

/**
 * Directs a request without a version. Pure. A split keeps a key (or the device) with one version for as long as salt and
 * share stay; raising the share only moves keys towards the candidate. Requests without a key in a split by key, and those
 * a shadow sees, are drawn at random.
 */
export function direct(serving: VersionNumber, policy: TrafficPolicy | undefined, request: RequestTraits, device: string): Direction {
  const stays = { answers: serving, shadow: undefined };
  if (policy === undefined || policy.candidate === serving) return stays;
  if (policy.action === 'shadow') return request.random < policy.share ? { answers: serving, shadow: policy.candidate } : stays;
  const subject = policy.sticky === 'device' ? device : request.key;
  const position = subject === undefined ? request.random : positionOf(policy.salt, subject);
  return position < policy.share ? { answers: policy.candidate, shadow: undefined } : stays;
}

/** A stable place in [0, 1): the first 48 bits of SHA-256 over salt and subject. */
export function positionOf(salt: string, subject: string): number {
  const digest = createHash('sha256').update(`${salt.length}:${salt}`).update(subject).digest();
  return digest.readUIntBE(0, 6) / 2 ** 48;
}
