import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStandalone, type Standalone } from '#agent/standalone-app.js';
import { folderSource } from '#agent/standalone/source.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { sharedModelFolder } from '../../kit/model-folder.js';
import { failsAboveModel } from '../../kit/onnx-models.js';

/** Its session fails where a value is 1 and more. */
const file = failsAboveModel();
const bytesOf = (...values: readonly number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);
const inputs = (fill: string, more = ''): string => `inputs { key: "x" value { data_type: TYPE_FP32 dims: 4 ${fill} } } ${more}`;
const config = (fill: string, size = 2, more = ''): string =>
  `max_batch_size: 8 model_warmup { name: "first" batch_size: ${size} ${inputs(fill, more)} }`;

let root = '';
let standalone: Standalone;

beforeAll(async () => {
  root = await sharedModelFolder({
    'zero/1/model.onnx': file,
    'zero/config.pbtxt': config('zero_data: true', 2, 'count: 3'),
    'random/1/model.onnx': file,
    'random/config.pbtxt': config('random_data: true'),
    'given/1/model.onnx': file,
    'given/config.pbtxt': config('input_data_file: "x.bin"'),
    'given/warmup/x.bin': bytesOf(0, 0.5, 0.25, 0),
    'fails/1/model.onnx': file,
    'fails/config.pbtxt': config('input_data_file: "x.bin"'),
    'fails/warmup/x.bin': bytesOf(0, 0, 0, 7),
    'short/1/model.onnx': file,
    'short/config.pbtxt': config('input_data_file: "x.bin"'),
    'short/warmup/x.bin': bytesOf(0, 0, 0),
    'missing/1/model.onnx': file,
    'missing/config.pbtxt': config('input_data_file: "none.bin"'),
    'outside/1/model.onnx': file,
    'outside/config.pbtxt': config('input_data_file: "../1/model.onnx"'),
    'large/1/model.onnx': file,
    'large/config.pbtxt': config('zero_data: true', 9),
    'unnamed/1/model.onnx': file,
    'unnamed/config.pbtxt': 'max_batch_size: 8 model_warmup { name: "first" batch_size: 1 }',
    'passed-over/1/model.onnx': file,
    'passed-over/config.pbtxt': config('input_data_file: "none.bin"', 0),
  });
  standalone = await openStandalone({
    source: folderSource(root),
    control: 'explicit',
    load: 'all',
    serve: { tcp: { host: '127.0.0.1', port: 0 } },
    logger: silentLogger,
  });
  await standalone.start();
});
afterAll(() => standalone.close());

const reasonOf = (name: string): string => {
  const entry = standalone.repository.index().find((one) => one.name === name);
  return entry?.state === 'READY' ? 'READY' : (entry?.reason ?? '');
};

test.each([
  ['zero', 'READY'],
  ['random', 'READY'],
  ['given', 'READY'],
  // Triton leaves requests of batch 0 out.
  ['passed-over', 'READY'],
  ['fails', 'warming fails@1 up with the request "first" failed:'],
  ['short', 'warming short@1 up with the request "first" failed:'],
  ['missing', 'none.bin'],
  ['outside', 'is no name of a file in the folder warmup'],
  ['large', 'batch_size 9 is larger than max_batch_size 8'],
  ['unnamed', 'warming unnamed@1 up with the request "first" failed:'],
])('model_warmup: %s is %s', (name, expected) => {
  expect(reasonOf(name)).toContain(expected);
});

test('what was served stays when its successor does not get through its warming up', async () => {
  await writeFile(join(root, 'given/warmup/x.bin'), bytesOf(9, 9, 9, 9));
  await writeFile(join(root, 'given/config.pbtxt'), config('input_data_file: "x.bin"', 3));
  await expect(standalone.repository.load('given', { files: new Map() })).rejects.toThrow('warming given@1 up');
  expect(reasonOf('given')).toBe('READY');
});
