import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStandalone, type Standalone } from '#agent/standalone-app.js';
import { folderSource } from '#agent/standalone/source.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { sharedModelFolder } from '../../kit/model-folder.js';
import { affineModel } from '../../kit/onnx-models.js';

/** Requests that wait for others, so that the rules of the queue show: nothing reaches the preferred size. */
const WAITING = 'preferred_batch_size: 64 max_queue_delay_microseconds: 200000';

let root = '';
let standalone: Standalone;
let base = '';

beforeAll(async () => {
  const config = (dynamic: string): string => `max_batch_size: 64 instance_group { count: 2 } dynamic_batching { ${WAITING} ${dynamic} }`;
  const models = {
    levels: `priority_levels: 2 default_priority_level: 2
      default_queue_policy { allow_timeout_override: true }
      priority_queue_policy { key: 1 value { default_timeout_microseconds: 1000 max_queue_size: 1 } }`,
    ordered: 'preserve_ordering: true',
    'no-level': 'priority_levels: 2 default_priority_level: 3',
    'no-policy': 'priority_queue_policy { key: 1 value { max_queue_size: 1 } }',
    'out-of-order': 'preserve_ordering: true default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 1000 }',
    'two-orders': 'preserve_ordering: true priority_levels: 2 default_priority_level: 1',
  };
  const files = Object.entries(models).flatMap(([name, dynamic]) => [
    [`${name}/1/model.onnx`, affineModel({ scale: 1, bias: 1 })] as const,
    [`${name}/config.pbtxt`, config(dynamic)] as const,
  ]);
  root = await sharedModelFolder(Object.fromEntries(files));
  standalone = await openStandalone({
    source: folderSource(root),
    serve: { tcp: { host: '127.0.0.1', port: 0 } },
    inference: { isolation: 'thread' },
    logger: silentLogger,
  });
  await standalone.start();
  base = `http://127.0.0.1:${standalone.address.tcp?.port}`;
  // Rows of so many requests are seen alone first, and none of them waits.
  for (const name of ['levels', 'ordered']) for (let at = 0; at < 8; at++) await ask(name, {});
});
afterAll(async () => {
  await standalone.close();
  await rm(root, { recursive: true, force: true });
});

function ask(model: string, parameters: object): Promise<Response> {
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [0, 0, 0, 0] }];
  return fetch(`${base}/v2/models/${model}/infer`, { method: 'POST', body: JSON.stringify({ parameters, inputs }) });
}

test('a level of priority has its own rules, and a request may name a shorter time where they allow it', async () => {
  const [usual, urgent, hurried] = await Promise.all([ask('levels', {}), ask('levels', { priority: 1 }), ask('levels', { timeout: 1000 })]);
  expect(usual.status).toBe(200);
  for (const refused of [urgent, hurried]) {
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.text()).toContain('allowed in the queue of the model passed');
  }
});

test('a level takes no more requests than its rules say, and the others go on', async () => {
  const asked = await Promise.all([ask('levels', { priority: 1 }), ask('levels', { priority: 1 }), ask('levels', {})]);
  const texts = await Promise.all(asked.map((response) => response.text()));
  expect(asked.map(({ status }) => status)).toEqual([503, 503, 200]);
  expect(texts.filter((text) => text.includes('the queue of the model is full (1 requests)'))).toHaveLength(1);
});

test('answers can keep the order of requests with several instances', async () => {
  const answers = await Promise.all(Array.from({ length: 4 }, () => ask('ordered', {})));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
});

test('what contradicts itself is refused by its name', () => {
  const refused = standalone.repository.index().filter(({ state }) => state === 'UNAVAILABLE');
  expect(refused.map(({ name, reason }) => [name, /dynamic_batching\.\w+/.exec(reason ?? '')?.[0]])).toEqual([
    ['no-level', 'dynamic_batching.default_priority_level'],
    ['no-policy', 'dynamic_batching.priority_queue_policy'],
    ['out-of-order', 'dynamic_batching.preserve_ordering'],
    ['two-orders', 'dynamic_batching.preserve_ordering'],
  ]);
});
