import type { Millis } from '#shared/kernel/time.js';
import { LIMITS } from '#shared/kernel/limits.js';

/** PEM files of a TLS server. */
export interface GrpcTls {
  readonly cert: string;
  readonly key: string;
  /** CA whose certificates clients must have; left out: clients need none. */
  readonly clientCa?: string;
}

/** Paths that Vertex AI chooses; a container that it started has both. */
export interface VertexRoutes {
  readonly health?: string;
  readonly predict?: string;
}

/** Where and how the local API listens. */
export interface ServeConfig {
  /** TCP address; port 0 takes a free one. Left out: no TCP. */
  readonly tcp?: { readonly host: string; readonly port: number };
  /** Path of a Unix socket (owner and group may use it). Left out: none. */
  readonly unix?: { readonly path: string };
  /** TCP address for gRPC. Left out: no gRPC, and nothing of it is loaded. */
  readonly grpc?: { readonly host: string; readonly port: number; readonly tls?: GrpcTls };
  /** TCP address that serves `/metrics` alone. Left out: none. */
  readonly metrics?: { readonly host: string; readonly port: number };
  /** Largest request body, or gRPC message, bytes. */
  readonly bodyLimit?: number;
  /** Memory that the bodies of all requests in flight may take, bytes. */
  readonly bodyMemory?: number;
  /** Most tensor elements that one request, or one answer, may carry as JSON; more go as binary tensors. */
  readonly jsonElements?: number;
  /** Time within which a whole request, headers and body, must have arrived. */
  readonly requestTimeout?: Millis;
  /** Time without a byte either way after which a connection is closed, unless a request in it is being answered. */
  readonly idleTimeout?: Millis;
  /** Connections of each listener. */
  readonly maxConnections?: number;
  /** Requests in flight at once; health and management are not among them. */
  readonly maxRequests?: number;
  /** Origins whose web pages may call; `*` stands for all. Left out: none. */
  readonly corsOrigins?: readonly string[];
  /** Names, besides localhost, under which clients may reach a listener on loopback that has no access file. Left out: none. */
  readonly allowedHosts?: readonly string[];
  /** Clients may name segments of shared memory of this machine, which the agent then reads and writes. */
  readonly sharedMemory?: boolean;
  /** Calls that a gRPC connection may have under way. */
  readonly grpcStreams?: number;
  /** Time without a call after which a gRPC connection is closed; clients open another when they need it. */
  readonly grpcIdleTimeout?: Millis;
  /** Left out: nothing is at paths of Vertex AI. */
  readonly vertex?: VertexRoutes;
  /** Time given to requests under way when closing. */
  readonly closeGrace?: Millis;
}

export type ServeSettings = Required<Omit<ServeConfig, 'tcp' | 'unix' | 'grpc' | 'metrics' | 'corsOrigins' | 'allowedHosts'>>;

export const DEFAULT_SERVE_SETTINGS: ServeSettings = {
  bodyLimit: LIMITS.inferBodyBytes,
  bodyMemory: LIMITS.bodyMemoryBytes,
  jsonElements: LIMITS.jsonElements,
  requestTimeout: 30_000,
  idleTimeout: 120_000,
  maxConnections: 1024,
  maxRequests: 1024,
  sharedMemory: false,
  grpcStreams: 256,
  grpcIdleTimeout: 600_000,
  vertex: {},
  closeGrace: 5_000,
};

/** Where the local API listens, once started. */
export interface ServeAddress {
  readonly tcp: { readonly host: string; readonly port: number } | undefined;
  readonly unix: string | undefined;
  readonly grpc: { readonly host: string; readonly port: number } | undefined;
  /** Where metrics alone are served. */
  readonly metrics?: { readonly host: string; readonly port: number } | undefined;
}
