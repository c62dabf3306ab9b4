import type { ModelOfBench } from './models.js';
import { json, type LoadRequest, oipBinary, oipGrpc, oipJson } from './requests.js';
import type { TargetAddress } from './target-protocol.js';

/** A way to ask for the prediction that is measured. */
export interface Way {
  readonly name: string;
  readonly model: ModelOfBench;
  readonly address: (target: TargetAddress) => string;
  readonly request: () => LoadRequest;
  /** Aims for what it adds at the median and at p99, in milliseconds. */
  readonly aim?: { readonly p50: number; readonly p99: number };
}

const tcp = ({ http }: TargetAddress): string => `tcp:${http}`;
const unix = ({ socket }: TargetAddress): string => `unix:${socket}`;
const grpc = (target: TargetAddress): string => `tcp:${target.grpc}`;
const bare = (target: TargetAddress): string => `tcp:${target.bare}`;

const AIM = { p50: 0.15, p99: 0.5 };
const ROW = [[1, 2, 3, 4]];

/** The Open Inference Protocol by every carrier and in every form. */
function oip(model: ModelOfBench): readonly Way[] {
  return [
    { name: 'Unix socket, binary', model, address: unix, request: () => oipBinary(model), aim: AIM },
    { name: 'HTTP, binary', model, address: tcp, request: () => oipBinary(model), aim: AIM },
    { name: 'HTTP, JSON', model, address: tcp, request: () => oipJson(model) },
    { name: 'gRPC', model, address: grpc, request: () => oipGrpc(model) },
  ];
}

/** One row for each model, dialect and carrier. */
export const WAYS: readonly Way[] = [
  { name: 'a bare node:http handler, the same bytes in', model: 'wakeword', address: bare, request: () => oipBinary('wakeword') },
  ...oip('wakeword'),
  ...oip('vad'),
  ...oip('classifier'),
];

/** What the other dialects add. */
export const DIALECT_WAYS: readonly Way[] = [
  { name: 'Open Inference Protocol', model: 'small', address: tcp, request: () => oipJson('small') },
  { name: 'TensorFlow Serving, REST', model: 'small', address: tcp, request: () => json('/v1/models/small:predict', { instances: ROW }) },
  { name: 'TorchServe', model: 'small', address: tcp, request: () => json('/predictions/small', ROW) },
  { name: 'MLflow', model: 'small', address: tcp, request: () => json('/invocations?model_name=small', { inputs: ROW }) },
];
