import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { LIMITS } from '#shared/kernel/limits.js';
import type { SkerryError } from '#shared/kernel/errors.js';
import type { AuditLog } from './audit.js';
import type { AuditEntry } from './audit-entry.js';
import { type Authenticator, authorize } from './authenticator.js';
import { toApiError } from './error-body.js';
import { errorBodySchema } from './error-schema.js';
import { type AuditNote, type Caller, isRaw, type Route } from './route.js';

export interface MountDeps {
  readonly authenticator: Authenticator;
  readonly audit: AuditLog;
}

const ANONYMOUS: Caller = { kind: 'anonymous' };

/** Puts declared routes on the server: who asks and whether they may comes before any body is read. */
export async function mountRoutes(app: FastifyInstance, routes: readonly Route[], deps: MountDeps): Promise<void> {
  const callers = new WeakMap<FastifyRequest, Caller>();
  for (const route of routes.filter((candidate) => !isRaw(candidate.body))) mountRoute(app, route, callers, deps);
  // A context of its own, where bodies are left as the streams they are.
  await app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, parsed) => parsed(null, payload));
    for (const route of routes.filter((candidate) => isRaw(candidate.body))) mountRoute(scope, route, callers, deps);
    done();
  });
}

function mountRoute(app: FastifyInstance, route: Route, callers: WeakMap<FastifyRequest, Caller>, deps: MountDeps): void {
  app.route({
    method: route.method,
    url: route.url,
    bodyLimit: route.bodyLimit ?? LIMITS.apiBodyBytes,
    schema: openApiSchema(route),
    onRequest: async (request) => {
      callers.set(request, await admit(route, request, deps));
    },
    handler: async (request, reply) => {
      const caller = callers.get(request) ?? ANONYMOUS;
      const note: AuditNote = {};
      reply.code(route.status ?? 200);
      const answer = await attempt(route, { caller, request, reply, note }, deps);
      if (route.answer === 'empty') return reply.send();
      if (isRaw(route.answer)) reply.type(route.answer.mediaType);
      return answer;
    },
  });
}

interface Attempt {
  readonly caller: Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly note: AuditNote;
}

async function attempt(route: Route, input: Attempt, deps: MountDeps): Promise<unknown> {
  let answer: unknown;
  try {
    answer = await route.handle(input);
  } catch (cause) {
    const error = toApiError(cause);
    await record(route, input, deps, error);
    throw error;
  }
  await record(route, input, deps);
  return answer;
}

async function admit(route: Route, request: FastifyRequest, deps: MountDeps): Promise<Caller> {
  if (route.access === 'public') return ANONYMOUS;
  const caller = await deps.authenticator.authenticate({ authorization: request.headers.authorization, source: request.ip });
  try {
    authorize(caller, route.access);
  } catch (cause) {
    await record(route, { caller, request, note: {} }, deps, toApiError(cause));
    throw cause;
  }
  return caller;
}

async function record(route: Route, input: Omit<Attempt, 'reply'>, deps: MountDeps, error?: SkerryError): Promise<void> {
  if (!route.changes || isNoise(input.caller, error)) return;
  const { caller, request, note } = input;
  const entry: AuditEntry = {
    actor: note.actor ?? (caller.kind === 'token' ? caller.name : 'anonymous'),
    ...(caller.kind === 'token' ? { tokenId: caller.id } : {}),
    action: route.access === 'public' ? route.id : route.access,
    target: note.target ?? request.url.split('?', 1)[0] ?? '',
    source: request.ip,
    ...(error === undefined ? { outcome: 'ok' } : { outcome: error.http >= 500 ? 'failed' : 'refused', code: error.code }),
    requestId: request.id,
    ...(note.detail === undefined ? {} : { detail: note.detail }),
  };
  if (caller.kind === 'anonymous' && error !== undefined) await deps.audit.addRefusal(entry);
  else await deps.audit.add(entry);
}

/** Strangers who send what cannot be read, or too much, fill no log that is kept for a year. */
function isNoise(caller: Caller, error: SkerryError | undefined): boolean {
  return caller.kind === 'anonymous' && (error?.code === 'INPUT_SCHEMA' || error?.code === 'API_RATE_LIMITED');
}

/** What Fastify hands to the OpenAPI writer; answers are checked by it as well, requests by `defineRoute`. */
function openApiSchema(route: Route): Record<string, unknown> {
  const success = [route.status ?? 200, ...(route.otherStatus ?? [])];
  const errors = route.errors ?? [];
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    description: [route.description, errors.length > 0 ? `Errors of its own: ${errors.join(', ')}.` : undefined]
      .filter((text) => text !== undefined)
      .join('\n\n'),
    security: route.access === 'public' ? [] : [{ bearer: [] }],
    'x-capability': route.access,
    ...(route.params === undefined ? {} : { params: route.params }),
    ...(route.query === undefined ? {} : { querystring: route.query }),
    ...(route.body === undefined
      ? {}
      : isRaw(route.body)
        ? { consumes: [route.body.mediaType], body: z.string().meta({ format: 'binary', description: route.body.description }) }
        : { body: route.body }),
    response: {
      ...Object.fromEntries(success.map((status) => [status, answerSchema(route)])),
      '4xx': errorBodySchema,
      '5xx': errorBodySchema,
    },
  };
}

function answerSchema(route: Route): unknown {
  if (route.answer === 'empty') return z.undefined().meta({ description: 'Done; nothing more to say.' });
  if (!isRaw(route.answer)) return route.answer;
  const { mediaType, description } = route.answer;
  return { description, content: { [mediaType]: { schema: z.string().meta({ description }) } } };
}
