import { z } from 'zod';
import type { AuditLog } from '../audit.js';
import { defineRoute } from '../define-route.js';
import type { Route } from '../route.js';
import type { ApiTokens } from '../tokens.js';
import { apiTokenListSchema, apiTokenSchema, auditListSchema, createdTokenSchema, newTokenSchema, whoAmISchema } from '../views.js';

const tokenParams = z.strictObject({ token: z.string().regex(/^[0-9a-f]{12}$/, 'the id of a token') });
const auditQuery = z.strictObject({
  before: z.coerce.number().int().min(1).optional(),
  actor: z.string().max(256).optional(),
  action: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

/** Tokens of people and programs, and the audit log. */
export function accessRoutes(tokens: ApiTokens, audit: AuditLog, now: () => number): readonly Route[] {
  return [...whoAmIRoutes(), ...tokenRoutes(tokens, now), ...auditRoutes(audit)];
}

function whoAmIRoutes(): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      url: '/api/v1/whoami',
      id: 'whoAmI',
      tag: 'access',
      summary: 'Who the token sent belongs to',
      access: 'model:read',
      answer: whoAmISchema,
      handler: async ({ caller }) =>
        caller.kind === 'token' ? { id: caller.id, name: caller.name, role: caller.role } : { id: '', name: 'anonymous', role: 'viewer' },
    }),
  ];
}

function tokenRoutes(tokens: ApiTokens, now: () => number): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      url: '/api/v1/tokens',
      id: 'listTokens',
      tag: 'access',
      summary: 'Lists the API tokens, without their secrets',
      access: 'token:read',
      answer: apiTokenListSchema,
      handler: async () => ({ tokens: await tokens.list() }),
    }),
    defineRoute({
      method: 'POST',
      url: '/api/v1/tokens',
      id: 'createToken',
      tag: 'access',
      summary: 'Makes an API token',
      description: 'The secret is in this answer and nowhere else.',
      access: 'token:write',
      audit: ({ body }) => `tokens (${body.name})`,
      body: newTokenSchema,
      status: 201,
      answer: createdTokenSchema,
      handler: async ({ body, caller, note }) => {
        const created = await tokens.create({
          name: body.name,
          role: body.role,
          createdBy: caller.kind === 'token' ? caller.id : 'hub',
          ...(body.expiresInSeconds === undefined ? {} : { expiresAt: now() + body.expiresInSeconds * 1_000 }),
        });
        note.target = `tokens/${created.id}`;
        note.detail = { name: created.name, role: created.role, expiresAt: created.expiresAt };
        return created;
      },
    }),
    defineRoute({
      method: 'DELETE',
      url: '/api/v1/tokens/:token',
      id: 'revokeToken',
      tag: 'access',
      summary: 'Revokes an API token at once',
      access: 'token:write',
      audit: ({ params }) => `tokens/${params.token}`,
      params: tokenParams,
      answer: apiTokenSchema,
      errors: ['TOKEN_UNKNOWN'],
      handler: async ({ params }) => tokens.revoke(params.token),
    }),
  ];
}

function auditRoutes(audit: AuditLog): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      url: '/api/v1/audit',
      id: 'listAudit',
      tag: 'access',
      summary: 'Who changed what, newest first',
      description: '`before` continues a list from the smallest id of the last page.',
      access: 'audit:read',
      query: auditQuery,
      answer: auditListSchema,
      handler: async ({ query }) => ({
        records: await audit.list({
          limit: query.limit,
          ...(query.before === undefined ? {} : { before: query.before }),
          ...(query.actor === undefined ? {} : { actor: query.actor }),
          ...(query.action === undefined ? {} : { action: query.action }),
        }),
      }),
    }),
  ];
}
