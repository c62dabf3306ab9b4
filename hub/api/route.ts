import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import type { Capability, Role } from '#hub/kernel/roles.js';

/** Who makes a request. */
export type TokenCaller = Extract<Caller, { kind: 'token' }>;
export type Caller =
  | { readonly kind: 'token'; readonly id: string; readonly name: string; readonly role: Role; readonly expiresAt: EpochMillis | null }
  | { readonly kind: 'anonymous' };

/** What a handler may add to the audit record of its request. */
export interface AuditNote {
  /** In place of the caller's name, e.g. `device:cam-7` for an enrolment. */
  actor?: string;
  /** In place of the declared target, e.g. when the id is only known afterwards. */
  target?: string;
  detail?: Readonly<Record<string, unknown>>;
}

/** What a handler gets: everything in it is narrowed by the route's schemas. */
interface RouteInput<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly caller: Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly note: AuditNote;
}

/** A body or answer that is not JSON: bytes of this media type, passed on unread. */
interface Raw {
  readonly mediaType: string;
  readonly description: string;
}

export interface RouteSpec<Params, Query, Body, Answer> {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Fastify syntax: `/api/v1/devices/:device`. */
  readonly url: string;
  /** Stable name in the OpenAPI document: `listDevices`. */
  readonly id: string;
  readonly tag: 'registry' | 'trust' | 'devices' | 'deployments' | 'rollouts' | 'telemetry' | 'access' | 'system';
  readonly summary: string;
  readonly description?: string;
  /** What the caller's role must allow; `public` needs no token. */
  readonly access: Capability | 'public';
  /**
   * For whatever changes something: what it is done to, for the audit log (`devices/cam-7`). `route` refuses a changing
   * method without it.
   */
  readonly audit?: (input: { readonly params: Params; readonly body: Body }) => string;
  readonly params?: z.ZodType<Params>;
  readonly query?: z.ZodType<Query>;
  /** `Raw`: the handler reads `request.raw` itself and keeps its own bound. */
  readonly body?: z.ZodType<Body> | Raw;
  /** Largest body in bytes (default LIMITS.apiBodyBytes). */
  readonly bodyLimit?: number;
  readonly answer: z.ZodType<Answer> | Raw | 'empty';
  /** Status of success (default 200); `reply.code` sets another one of `otherStatus`. */
  readonly status?: 200 | 201 | 202 | 204;
  readonly otherStatus?: readonly (200 | 201 | 202 | 204 | 503)[];
  /** Codes of this route beyond those every route may answer with. */
  readonly errors?: readonly ErrorCode[];
  readonly handler: (input: RouteInput<Params, Query, Body>) => Promise<Answer>;
}

/** A declared route, with what it takes forgotten: `handle` narrows before it calls the handler. */
export interface Route
  extends Omit<RouteSpec<unknown, unknown, unknown, unknown>, 'handler' | 'audit' | 'params' | 'query' | 'body' | 'answer'> {
  readonly params: z.ZodType | undefined;
  readonly query: z.ZodType | undefined;
  readonly body: z.ZodType | Raw | undefined;
  readonly answer: z.ZodType | Raw | 'empty';
  readonly changes: boolean;
  handle(context: RouteContext): Promise<unknown>;
}

interface RouteContext {
  readonly caller: Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly note: AuditNote;
}

export function isRaw(value: z.ZodType | Raw | 'empty' | undefined): value is Raw {
  return typeof value === 'object' && 'mediaType' in value;
}
