import { inferBody } from '#shared/client/oip-body.js';
import { tensorOf } from '#shared/client/values.js';
import { connect } from '#shared/client/connect.js';
import type { Input } from '#shared/client/values.js';
import { RawConnection } from './raw-connection.js';

/** Where the process that is measured listens. */
export interface Target {
  readonly http: number;
  readonly grpc: number;
  readonly bare: number;
  readonly socket: string;
}

export interface Asker {
  ask(): Promise<unknown>;
  close(): void;
}

/** A way to ask for the prediction that is measured. */
export interface Way {
  readonly name: string;
  readonly model: 'small' | 'vad';
  readonly open: (target: Target) => Promise<Asker>;
}

const host = '127.0.0.1';
const VALUES = [1, 2, 3, 4];

export const INPUTS: Readonly<Record<Way['model'], Readonly<Record<string, Input>>>> = {
  small: { x: { shape: [1, 4], data: Float32Array.from(VALUES) } },
  vad: {
    input: { shape: [1, 576], data: new Float32Array(576).fill(0.01) },
    state: { shape: [2, 1, 128], data: new Float32Array(256) },
    sr: { shape: [], data: BigInt64Array.of(16_000n) },
  },
};

/** A request as bytes on the wire. */
function posted(path: string, body: Uint8Array, headers: Readonly<Record<string, string | number>>): Buffer {
  const lines = Object.entries({ host, 'content-length': body.byteLength, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), body]);
}

function json(path: string, document: unknown): Buffer {
  return posted(path, Buffer.from(JSON.stringify(document)), { 'content-type': 'application/json' });
}

function binary(model: Way['model']): Buffer {
  const inputs = Object.fromEntries(Object.entries(INPUTS[model]).map(([name, input]) => [name, tensorOf(name, input)]));
  const { parts, headerLength } = inferBody({ model, inputs, id: undefined, outputs: undefined, parameters: {} }, Number.POSITIVE_INFINITY);
  return posted(`/v2/models/${model}/infer`, Buffer.concat(parts), { 'inference-header-content-length': headerLength });
}

const overTcp = (request: Buffer) => (target: Target) => RawConnection.open({ host, port: target.http }, request);
const overSocket = (request: Buffer) => (target: Target) => RawConnection.open({ path: target.socket }, request);

function overGrpc(model: Way['model']) {
  return async ({ grpc }: Target): Promise<Asker> => {
    const client = await connect(`grpc://${host}:${grpc}`);
    return { ask: () => client.infer(model, INPUTS[model]), close: () => client.close() };
  };
}

const ROW = [VALUES];

/** One row for each dialect and carrier. */
export const WAYS: readonly Way[] = [
  {
    name: 'bare node:http handler, the same bytes in',
    model: 'small',
    open: (target) => RawConnection.open({ host, port: target.bare }, binary('small')),
  },
  { name: 'Open Inference Protocol, HTTP, binary', model: 'small', open: overTcp(binary('small')) },
  {
    name: 'Open Inference Protocol, HTTP, JSON',
    model: 'small',
    open: overTcp(json('/v2/models/small/infer', { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: VALUES }] })),
  },
  { name: 'Open Inference Protocol, Unix socket, binary', model: 'small', open: overSocket(binary('small')) },
  { name: 'Open Inference Protocol, gRPC (with our client)', model: 'small', open: overGrpc('small') },
  { name: 'TensorFlow Serving, REST', model: 'small', open: overTcp(json('/v1/models/small:predict', { instances: ROW })) },
  { name: 'TorchServe', model: 'small', open: overTcp(json('/predictions/small', ROW)) },
  { name: 'MLflow', model: 'small', open: overTcp(json('/invocations?model_name=small', { inputs: ROW })) },
  { name: 'Open Inference Protocol, HTTP, binary', model: 'vad', open: overTcp(binary('vad')) },
  { name: 'Open Inference Protocol, Unix socket, binary', model: 'vad', open: overSocket(binary('vad')) },
  { name: 'Open Inference Protocol, gRPC (with our client)', model: 'vad', open: overGrpc('vad') },
];
