import { z } from 'zod';
import { defineRoute } from '../define-route.js';
import { renderMetrics } from '#shared/kernel/exposition.js';
import type { MetricsProvider } from '../metrics.js';
import type { Route } from '../route.js';

/** One thing the hub needs to do its work; `check` resolves to what is wrong, or to nothing. */
export interface ReadyCheck {
  readonly name: string;
  check(): Promise<string | undefined>;
}

interface SystemRoutesOptions {
  readonly version: string;
  readonly checks: readonly ReadyCheck[];
  readonly metrics: readonly MetricsProvider[];
  /** The OpenAPI document, once all routes are mounted. */
  readonly openApi: () => unknown;
}

const readySchema = z.object({
  ready: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), reason: z.string().optional() })),
});

const encoder = new TextEncoder();

/** Health, metrics and the description of the API. */
export function systemRoutes(options: SystemRoutesOptions): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      url: '/healthz',
      id: 'health',
      tag: 'system',
      summary: 'Answers while the process lives',
      access: 'public',
      answer: z.object({ status: z.literal('ok'), version: z.string() }),
      handler: async () => ({ status: 'ok' as const, version: options.version }),
    }),
    defineRoute({
      method: 'GET',
      url: '/readyz',
      id: 'ready',
      tag: 'system',
      summary: 'Whether everything the hub needs is there; 503 names what is not',
      access: 'public',
      otherStatus: [503],
      answer: readySchema,
      handler: async ({ reply }) => {
        const checks = await Promise.all(options.checks.map(runCheck));
        const ready = checks.every((check) => check.ok);
        if (!ready) reply.code(503);
        return { ready, checks };
      },
    }),
    defineRoute<undefined, undefined, undefined, Uint8Array>({
      method: 'GET',
      url: '/metrics',
      id: 'metrics',
      tag: 'system',
      summary: 'Figures for Prometheus',
      access: 'telemetry:read',
      answer: { mediaType: 'text/plain; version=0.0.4; charset=utf-8', description: 'Prometheus text format 0.0.4' },
      handler: async () => {
        const families = (await Promise.all(options.metrics.map(async (provider) => provider()))).flat();
        return encoder.encode(renderMetrics(families));
      },
    }),
    defineRoute<undefined, undefined, undefined, Uint8Array>({
      method: 'GET',
      url: '/api/v1/openapi.json',
      id: 'openApi',
      tag: 'system',
      summary: 'This API as an OpenAPI 3.1 document',
      access: 'public',
      answer: { mediaType: 'application/json', description: 'OpenAPI 3.1' },
      handler: async () => encoder.encode(JSON.stringify(options.openApi())),
    }),
  ];
}

async function runCheck(check: ReadyCheck): Promise<{ name: string; ok: boolean; reason?: string }> {
  const reason = await check.check().catch((cause: unknown) => (cause instanceof Error ? cause.message : String(cause)));
  return reason === undefined ? { name: check.name, ok: true } : { name: check.name, ok: false, reason };
}
