import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serveConfigOf } from '#agent/assembly/serve-config.js';
import { loadAgentConfig } from '#agent/config.js';
import { openDialects } from '#agent/serve/dialects.js';
import { coded } from '../../kit/coded.js';
import { type ModelServer, startModelServer } from '../../kit/model-server.js';
import * as models from '../../kit/onnx-models.js';

// Vertex AI starts a container with these, and asks at their paths.
const ENV = {
  SKERRY_AGENT_DATA: '/nowhere',
  AIP_HTTP_PORT: '8080',
  AIP_HEALTH_ROUTE: '/v1/endpoints/7/deployedModels/8',
  AIP_PREDICT_ROUTE: '/v1/endpoints/7/deployedModels/8:predict',
};

let server: ModelServer;

beforeAll(async () => {
  const config = await loadAgentConfig({ flags: {}, env: ENV });
  server = await startModelServer({
    dialects: await openDialects(),
    models: { affine: models.affineModel() },
    config: { vertex: serveConfigOf(config).vertex ?? {} },
  });
});
afterAll(() => server.close());

const post = (body: object) => fetch(`${server.base}${ENV.AIP_PREDICT_ROUTE}`, { method: 'POST', body: JSON.stringify(body) });

describe('at the paths that Vertex AI chooses', () => {
  test('health', async () => {
    expect(await fetch(`${server.base}${ENV.AIP_HEALTH_ROUTE}`)).toMatchObject({ status: 200 });
  });

  test.each([[{ instances: [[1, 2, 3, 4]] }], [{ instances: [{ x: [1, 2, 3, 4] }], parameters: { confidence: 0.5 } }]])(
    '%j',
    async (body) => {
      const response = await post(body);
      expect([response.status, await response.json()]).toEqual([200, { predictions: [[3, 5, 7, 9]] }]);
    },
  );

  test.each([[{}], [{ instances: 1 }], [{ instances: [['a', 2, 3, 4]] }], [[1]]])('%j is refused', async (body) => {
    expect(await post(body)).toMatchObject({ status: 400 });
  });
});

test('without them there is nothing, and other settings come first', async () => {
  expect(await loadAgentConfig({ flags: {}, env: ENV })).toMatchObject({ httpPort: 8080 });
  const plain = await loadAgentConfig({ flags: {}, env: { SKERRY_AGENT_DATA: '/nowhere' } });
  expect(serveConfigOf(plain).vertex).toEqual({});
  const own = await loadAgentConfig({ flags: { httpPort: '1' }, env: { ...ENV, SKERRY_AGENT_VERTEX_PREDICT_ROUTE: '/predict' } });
  expect([own.httpPort, serveConfigOf(own).vertex?.predict]).toEqual([1, '/predict']);
});

test.each(['predict', '/a/:model', '/a?b', '/'])('%s is no path', async (path) => {
  await expect(loadAgentConfig({ flags: {}, env: { ...ENV, AIP_PREDICT_ROUTE: path } })).rejects.toThrow(
    coded('CONFIG_INVALID', 'AIP_PREDICT_ROUTE'),
  );
});
