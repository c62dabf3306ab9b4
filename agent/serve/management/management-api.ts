import type { Feedback } from '../feedback.js';
import type { HttpApi, HttpRoute } from '../http/exchange.js';
import { errorAnswer, jsonAnswer } from '../http/json-answer.js';
import { feedbackRoutes } from './feedback-routes.js';

interface ManagementDeps {
  readonly feedback: Feedback;
  /** Text of `/metrics` in Prometheus' exposition format. */
  readonly metricsText: () => string | Promise<string>;
  /** Document of `/skerry/v1/status`. */
  readonly status: () => unknown;
}

/** Our own API, which belongs to no dialect: what a device says about itself, and what applications say about its answers. */
export function managementApi({ feedback, metricsText, status }: ManagementDeps): HttpApi {
  return {
    error: errorAnswer,
    routes: [
      metricsRoute(metricsText),
      { method: 'GET', path: '/skerry/v1/status', call: 'management', handle: async () => jsonAnswer(await status()) },
      ...feedbackRoutes(feedback),
    ],
  };
}

/** `/metrics` alone. */
export function metricsApi(metricsText: ManagementDeps['metricsText']): HttpApi {
  return { error: errorAnswer, routes: [metricsRoute(metricsText)] };
}

function metricsRoute(metricsText: ManagementDeps['metricsText']): HttpRoute {
  return {
    method: 'GET',
    path: '/metrics',
    call: 'management',
    handle: async () => ({
      status: 200,
      headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
      body: [await metricsText()],
    }),
  };
}
