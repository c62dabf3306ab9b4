/** What gRPC calls a status, and the HTTP statuses that say the same: the usual one first, then more exact ones that a code may choose. */
interface StatusRow {
  /** Number in google.rpc.Code. */
  readonly grpc: number;
  readonly http: readonly [number, ...number[]];
}

/**
 * How a request ended, in words of no protocol: gRPC's canonical codes (grpc.io/docs/guides/status-codes). Each error code names one, and
 * every protocol that is spoken here takes its own form of it from this table.
 */
export const STATUSES = {
  CANCELLED: { grpc: 1, http: [499] },
  INVALID_ARGUMENT: { grpc: 3, http: [400, 417] },
  DEADLINE_EXCEEDED: { grpc: 4, http: [504, 408] },
  NOT_FOUND: { grpc: 5, http: [404] },
  ALREADY_EXISTS: { grpc: 6, http: [409] },
  PERMISSION_DENIED: { grpc: 7, http: [403] },
  /** A size beyond a limit as well: gRPC says so of messages that are too large. */
  RESOURCE_EXHAUSTED: { grpc: 8, http: [429, 413, 431, 503, 507] },
  FAILED_PRECONDITION: { grpc: 9, http: [409, 410, 422] },
  /** Somebody else was at it: the same request may succeed if it is sent again. */
  ABORTED: { grpc: 10, http: [409] },
  UNIMPLEMENTED: { grpc: 12, http: [501, 405, 415] },
  INTERNAL: { grpc: 13, http: [500] },
  UNAVAILABLE: { grpc: 14, http: [503, 502] },
  DATA_LOSS: { grpc: 15, http: [500] },
  UNAUTHENTICATED: { grpc: 16, http: [401] },
} as const satisfies Readonly<Record<string, StatusRow>>;

export type Status = keyof typeof STATUSES;

/** HTTP statuses that agree with a status. */
export type HttpStatusOf<S extends Status> = (typeof STATUSES)[S]['http'][number];

/** The HTTP status of an error code's entry. */
export function httpStatusOf({ status, http }: { readonly status: Status; readonly http?: number }): number {
  return http ?? STATUSES[status].http[0];
}
