import { createHash } from 'node:crypto';
import { z } from 'zod';
import { LIMITS } from '#shared/kernel/limits.js';
import { type Capabilities, capabilitiesSchema, deviceIdSchema, fleetIdSchema, type Labels, labelsSchema } from './device.js';

/** Names the statement, so that a signature made for it is good for nothing else. */
const ENROLMENT_SCHEMA = 'skerry.enrolment/1';

const hex = (bytes: number): z.ZodString => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`), `${bytes} bytes in lower-case hex`);

/** An enrolment token: 32 random bytes, base64url, behind a prefix that secret scanners can find. */
const enrolmentTokenSchema = z.string().regex(/^skt_[A-Za-z0-9_-]{43}$/, 'an enrolment token ("skt_..." )');

/** Body of `POST /api/v1/enroll`. */
export const enrollRequestSchema = z.object({
  token: enrolmentTokenSchema,
  /** The id the device would like; the hub chooses one when it is absent, and refuses one that another key holds. */
  device: deviceIdSchema.optional(),
  /** Ed25519 public key, hex. */
  publicKey: hex(32),
  labels: labelsSchema,
  capabilities: capabilitiesSchema,
  agentVersion: z.string().min(1).max(64),
  /** Ed25519 signature over `enrolmentStatement(...)`, hex: proves that the device holds the private key. */
  proof: hex(64),
});
export type EnrollRequest = z.infer<typeof enrollRequestSchema>;

/** Answer of `POST /api/v1/enroll`. */
export const enrollResponseSchema = z.object({
  device: deviceIdSchema,
  fleet: fleetIdSchema,
  /** What the device is to say of itself: its own labels, or those the hub knows of it where it gave none. */
  labels: labelsSchema.optional(),
  mqtt: z.object({
    /** `mqtt://host:port` or `mqtts://host:port`. */
    url: z.url().max(1024),
    /** `ws://host:port/mqtt` or `wss://...`, where the hub offers it. */
    wsUrl: z.url().max(1024).optional(),
    username: z.string().min(1).max(128),
    password: z.string().min(1).max(256),
  }),
  /** The pinned root of trust: the exact bytes of the newest `N.root.json`, base64. */
  root: z.base64().max(Math.ceil(LIMITS.trustFileBytes / 3) * 4),
  /** The hub's clock when it answered. */
  time: z.iso.datetime({ offset: true }),
});
export type EnrollResponse = z.infer<typeof enrollResponseSchema>;

interface EnrolmentClaim {
  readonly token: string;
  readonly device?: string | undefined;
  readonly publicKey: string;
  readonly labels: Labels;
  readonly capabilities: Capabilities;
  readonly agentVersion: string;
}

/**
 * The bytes a device signs when it enrols: UTF-8 JSON of one array whose order is fixed (labels sorted by key), so both
 * sides get the same bytes without a canonical form for objects. The token enters as its SHA-256 only.
 */
export function enrolmentStatement(claim: EnrolmentClaim): Uint8Array {
  const { capabilities } = claim;
  const labels = Object.entries(claim.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return new TextEncoder().encode(
    JSON.stringify([
      ENROLMENT_SCHEMA,
      createHash('sha256').update(claim.token).digest('hex'),
      claim.device ?? null,
      claim.publicKey,
      labels,
      [
        capabilities.os,
        capabilities.arch,
        capabilities.cpus,
        capabilities.memoryBytes,
        capabilities.providers,
        [capabilities.runtime.name, capabilities.runtime.version],
      ],
      claim.agentVersion,
    ]),
  );
}
