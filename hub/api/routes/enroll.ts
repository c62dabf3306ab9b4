import { z } from 'zod';
import type { Enrolment } from '#hub/fleet/enrolment.js';
import type { EnrolmentTokens } from '#hub/fleet/enrolment-tokens.js';
import {
  createdEnrolmentTokenSchema,
  enrolmentTokenListSchema,
  enrolmentTokenViewSchema,
  newEnrolmentTokenSchema,
} from '#hub/fleet/enrolment-view.js';
import { seconds } from '#shared/kernel/time.js';
import { hasCode, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { enrollRequestSchema, enrollResponseSchema } from '#shared/protocol/enrolment.js';
import { defineRoute } from '../define-route.js';
import type { FailureLimiter } from '#hub/kernel/failure-limiter.js';
import type { Route } from '../route.js';

const tokenParams = z.strictObject({ token: z.string().regex(/^[0-9a-f]{12}$/, 'the id of an enrolment token') });

/** Throws `API_RATE_LIMITED` after too many failed enrolments from this address; a valid token is never held up by them. */
function checkRate(limiter: FailureLimiter, source: string): void {
  const wait = limiter.waitOf(source);
  if (wait === 0) return;
  throw new SkerryError('API_RATE_LIMITED', `too many failed enrolments from ${source}`, {
    details: { retryAfterSeconds: Math.ceil(wait / 1_000) },
  });
}

/** How devices get in: tokens that allow it, and the enrolment itself. */
export function enrollRoutes(enrolment: Enrolment, tokens: EnrolmentTokens, limiter: FailureLimiter, now: () => number): readonly Route[] {
  return [...enrolmentRoutes(enrolment, limiter), ...tokenRoutes(tokens, now)];
}

function enrolmentRoutes(enrolment: Enrolment, limiter: FailureLimiter): readonly Route[] {
  return [
    defineRoute({
      method: 'POST',
      url: '/api/v1/enroll',
      id: 'enroll',
      tag: 'devices',
      summary: 'Lets a device in',
      description: 'The enrolment token is the authentication; the proof shows that the device holds the private key it names.',
      access: 'public',
      audit: ({ body }) => (body.device === undefined ? 'devices' : `devices/${body.device}`),
      body: enrollRequestSchema,
      bodyLimit: LIMITS.controlMessageBytes,
      status: 201,
      answer: enrollResponseSchema,
      errors: [
        'ENROL_TOKEN_INVALID',
        'ENROL_PROOF_INVALID',
        'ENROL_TOKEN_BOUND',
        'DEVICE_ID_TAKEN',
        'DEVICE_REPLACED',
        'DEVICE_REVOKED',
        'TRUST_ROOT_MISSING',
        'API_RATE_LIMITED',
      ],
      handler: async ({ body, request, note }) => {
        try {
          const answer = await enrolment.enroll(body, request.hostname);
          note.actor = `device:${answer.device}`;
          note.target = `devices/${answer.device}`;
          note.detail = { publicKey: body.publicKey, labels: body.labels };
          return answer;
        } catch (cause) {
          if (!hasCode(cause, 'ENROL_TOKEN_INVALID') && !hasCode(cause, 'ENROL_PROOF_INVALID')) throw cause;
          checkRate(limiter, request.ip);
          limiter.failed(request.ip);
          throw cause;
        }
      },
    }),
  ];
}

function tokenRoutes(tokens: EnrolmentTokens, now: () => number): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      url: '/api/v1/enrolment-tokens',
      id: 'listEnrolmentTokens',
      tag: 'devices',
      summary: 'Lists the enrolment tokens, without their secrets',
      access: 'enrolment:read',
      answer: enrolmentTokenListSchema,
      handler: async () => ({ tokens: await tokens.list() }),
    }),
    defineRoute({
      method: 'POST',
      url: '/api/v1/enrolment-tokens',
      id: 'createEnrolmentToken',
      tag: 'devices',
      summary: 'Makes an enrolment token',
      description: 'The secret is in this answer and nowhere else.',
      access: 'enrolment:write',
      audit: ({ body }) => `enrolment-tokens (${body.name})`,
      body: newEnrolmentTokenSchema,
      status: 201,
      answer: createdEnrolmentTokenSchema,
      errors: ['LABEL_TIME_ZONE'],
      handler: async ({ body, caller, note }) => {
        const created = await tokens.create({
          name: body.name,
          labels: body.labels,
          maxUses: body.maxUses,
          expiresAt: now() + seconds(body.expiresInSeconds),
          createdBy: caller.kind === 'token' ? caller.name : 'hub',
        });
        note.target = `enrolment-tokens/${created.id}`;
        note.detail = { name: created.name, maxUses: created.maxUses, expiresAt: created.expiresAt, labels: created.labels };
        return created;
      },
    }),
    defineRoute({
      method: 'DELETE',
      url: '/api/v1/enrolment-tokens/:token',
      id: 'revokeEnrolmentToken',
      tag: 'devices',
      summary: 'Revokes an enrolment token at once; devices that came in with it stay',
      access: 'enrolment:write',
      audit: ({ params }) => `enrolment-tokens/${params.token}`,
      params: tokenParams,
      answer: enrolmentTokenViewSchema,
      errors: ['ENROL_TOKEN_UNKNOWN'],
      handler: async ({ params }) => tokens.revoke(params.token),
    }),
  ];
}
