import { STATUS_CODES } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { CodeEntry } from '#shared/kernel/codes/define.js';
import { ERROR_CODES, type ErrorCode } from '#shared/kernel/error-registry.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { httpStatusOf, type Status, STATUSES } from '#shared/kernel/status.js';

describe('the status of an error, in words of no protocol', () => {
  test('every code has one, and an HTTP status that agrees with it', () => {
    const entries = Object.entries<CodeEntry>(ERROR_CODES);
    expect(entries.length).toBeGreaterThan(200);
    const odd = entries.filter(([, entry]) => !new Set<number>(STATUSES[entry.status].http).has(httpStatusOf(entry)));
    expect(odd).toEqual([]);
    expect(entries.filter(([, { status, http }]) => http === STATUSES[status].http[0]).map(([code]) => code)).toEqual([]);
  });

  test('each is a different code of gRPC, is used, and its HTTP statuses exist', () => {
    const rows = Object.entries(STATUSES);
    expect(new Set(rows.map(([, { grpc }]) => grpc)).size).toBe(rows.length);
    const used = new Set<string>(Object.values<CodeEntry>(ERROR_CODES).map(({ status }) => status));
    expect(rows.map(([status]) => status).filter((status) => !used.has(status))).toEqual([]);
    // 499 is nginx's: the client has gone, and nobody reads it.
    const statuses = new Set<number>(rows.flatMap(([, { http }]) => [...http]));
    expect([...statuses].filter((http) => http !== 499 && STATUS_CODES[http] === undefined)).toEqual([]);
  });

  test.each<[ErrorCode, Status, number]>([
    ['TENSOR_SHAPE', 'INVALID_ARGUMENT', 400],
    ['INFERENCE_MODEL_UNKNOWN', 'NOT_FOUND', 404],
    ['INFERENCE_NOT_READY', 'UNAVAILABLE', 503],
    ['INFERENCE_QUEUE_FULL', 'UNAVAILABLE', 503],
    ['INFERENCE_TIMEOUT', 'DEADLINE_EXCEEDED', 504],
    ['INFERENCE_OUT_OF_MEMORY', 'RESOURCE_EXHAUSTED', 503],
    ['SERVE_JSON_TOO_LARGE', 'RESOURCE_EXHAUSTED', 413],
    ['INFERENCE_ABANDONED', 'CANCELLED', 499],
    ['INFERENCE_RUN_FAILED', 'INTERNAL', 500],
    ['API_UNAUTHENTICATED', 'UNAUTHENTICATED', 401],
  ])('%s is %s and %i', (code, status, http) => {
    const error = new SkerryError(code, 'so it is');
    expect([error.status, error.http]).toEqual([status, http]);
  });
});
