import { inferBody } from '#shared/client/oip-body.js';
import { tensorOf } from '#shared/client/values.js';
import { atLeast, atMost, type Figure } from '../figure.js';
import { slowModel } from '../../kit/onnx-models.js';
import type { FigureGroup, GroupContext } from './figure-group.js';
import { Target } from './open-target.js';
import { median } from '../figure.js';
import { type LoadRequest, posted } from './requests.js';

/** A row alone reads the whole matrix for as many operations as it has numbers; rows together share that. */
const GAINING = { width: 512, layers: 8 };
const CLIENTS = 32;
const ROUNDS = 5;
const SECONDS = 1.5;

export const batching: FigureGroup = {
  name: 'batching',
  what: `Batching: a model that gains from it, with batches of up to ${CLIENTS} against one run for each request.`,
  measure: measureBatching,
};

async function measureBatching({ client, scale }: GroupContext): Promise<readonly Figure[]> {
  const model = slowModel(GAINING);
  const files = {
    'on/1/model.onnx': model,
    'on/config.pbtxt': `max_batch_size: ${CLIENTS}\ndynamic_batching { }\n`,
    'off/1/model.onnx': model,
  };
  const target = await Target.open({ models: [], files });
  try {
    const address = `unix:${target.address.socket}`;
    const many: Record<'on' | 'off', number[]> = { on: [], off: [] };
    const one: Record<'on' | 'off', number[]> = { on: [], off: [] };
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const name of ['on', 'off'] as const) {
        const request = requestTo(name);
        const all = await client.load({ address, request, connections: CLIENTS, requests: 1e9, seconds: SECONDS * scale });
        const alone = await client.load({ address, request, connections: 1, requests: 1e9, seconds: SECONDS * scale });
        if (all.failures + alone.failures > 0) throw new Error(`batching ${name}: requests failed`);
        if (round === 0) continue;
        many[name].push(all.perSecond);
        one[name].push(median(alone.times));
      }
    }
    return [
      atLeast(`batching on / off, ${CLIENTS} clients, requests a second`, median(many.on) / median(many.off), 'x', 2),
      atMost('batching on / off, one client, median time', median(one.on) / median(one.off), 'x', 1.05),
    ];
  } finally {
    await target.close();
  }
}

function requestTo(model: string): LoadRequest {
  const x = tensorOf('x', { shape: [1, GAINING.width], data: new Float32Array(GAINING.width).fill(0.5) });
  const { parts, headerLength } = inferBody(
    { model, inputs: { x }, id: undefined, outputs: undefined, parameters: {} },
    Number.POSITIVE_INFINITY,
  );
  return posted(`/v2/models/${model}/infer`, Buffer.concat(parts), { 'inference-header-content-length': headerLength });
}
