import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import { narrow } from '#shared/kernel/json.js';
import { isRaw, type Route, type RouteSpec } from './route.js';

const READING = new Set(['GET', 'HEAD']);

/**
 * Declares one route: what it is called, who may use it, what it takes and answers, and what it does. A room's routes are
 * a function from its services to a list of these; `server.ts` mounts them, guards them, audits what changes something and
 * writes the OpenAPI document from them.
 *
 * ```ts
 * export function deviceRoutes(fleet: FleetService): readonly Route[] {
 *   return [
 *     defineRoute({
 *       method: 'PUT', url: '/api/v1/devices/:device/labels', id: 'setLabels', tag: 'devices',
 *       summary: 'Replaces the labels the hub gives a device', access: 'device:write',
 *       audit: ({ params }) => `devices/${params.device}`,
 *       params: z.strictObject({ device: deviceIdSchema }), body: labelsSchema, answer: deviceSchema,
 *       errors: ['DEVICE_UNKNOWN'],
 *       handler: ({ params, body }) => fleet.setLabels(params.device, body),
 *     }),
 *   ];
 * }
 * ```
 */
export function defineRoute<Params = undefined, Query = undefined, Body = undefined, Answer = void>(
  spec: RouteSpec<Params, Query, Body, Answer>,
): Route {
  const changes = !READING.has(spec.method);
  if (changes && spec.audit === undefined) {
    throw new SkerryError('INTERNAL', `${spec.method} ${spec.url} changes something and does not say what for the audit log`);
  }
  const { handler, audit, params, query, body, answer, ...rest } = spec;
  return {
    ...rest,
    params,
    query,
    body,
    answer,
    changes,
    async handle({ caller, request, reply, note }) {
      const input = {
        params: part(params, request.params, 'the path'),
        query: part(query, request.query, 'the query'),
        body: part(isRaw(body) ? undefined : body, request.body, 'the body'),
      };
      if (audit !== undefined) note.target ??= audit(input);
      return handler({ ...input, caller, request, reply, note });
    },
  };
}

function part<T>(schema: z.ZodType<T> | undefined, value: unknown, what: string): T {
  // A route without a schema for this part declared its type as `undefined`, the default of `defineRoute`.
  return schema === undefined
    ? narrow(
        z.custom<T>((absent) => absent === undefined),
        undefined,
        what,
      )
    : narrow(schema, value, what);
}
