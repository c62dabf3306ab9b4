import { atLeast, type Figure } from '../figure.js';
import { identityModel } from '../../kit/onnx-models.js';
import { inferBody } from '#shared/client/oip-body.js';
import { tensorOf } from '#shared/client/values.js';
import type { FigureGroup, GroupContext } from './figure-group.js';
import { Target } from './open-target.js';
import { quantile } from './quantile.js';
import { type LoadRequest, posted } from './requests.js';

const ROUNDS = 6;
const PER_ROUND = 20;
const WIDTH = 4096;
const ROWS = 1024;

export const large: FigureGroup = {
  name: 'large',
  what: 'Large: 16 MB in and 16 MB out, as a share of the bandwidth of a node:http handler that sends back what it got.',
  measure: measureLarge,
};

async function measureLarge({ client, scale }: GroupContext): Promise<readonly Figure[]> {
  const target = await Target.open({ models: [], files: { 'large/1/model.onnx': identityModel({ width: WIDTH }) } });
  try {
    const request = requestOfRows();
    const places = {
      echo: `tcp:${target.address.bare}`,
      HTTP: `tcp:${target.address.http}`,
      'Unix socket': `unix:${target.address.socket}`,
    };
    const times: Record<keyof typeof places, number[]> = { echo: [], HTTP: [], 'Unix socket': [] };
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const name of ['echo', 'HTTP', 'Unix socket'] as const) {
        const requests = Math.ceil(PER_ROUND * scale);
        const told = await client.load({ address: places[name], request, connections: 1, requests, seconds: 60 });
        if (told.failures > 0) throw new Error(`large, ${name}: ${told.failures} requests failed`);
        if (round > 0) times[name].push(...told.times);
      }
    }
    const echo = quantile(times.echo, 0.5);
    return [
      atLeast('16 MB, HTTP', (echo * 100) / quantile(times.HTTP, 0.5), '% of the echo', 80),
      atLeast('16 MB, Unix socket', (echo * 100) / quantile(times['Unix socket'], 0.5), '% of the echo', 80),
    ];
  } finally {
    await target.close();
  }
}

function requestOfRows(): LoadRequest {
  const x = tensorOf('x', { shape: [ROWS, WIDTH], data: new Float32Array(ROWS * WIDTH).fill(0.5) });
  const call = { model: 'large', inputs: { x }, id: undefined, outputs: undefined, parameters: {} };
  const { parts, headerLength } = inferBody(call, Number.POSITIVE_INFINITY);
  return posted('/v2/models/large/infer', Buffer.concat(parts), { 'inference-header-content-length': headerLength });
}
