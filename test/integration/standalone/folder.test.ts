import { mkdir, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStandalone, type Standalone } from '#agent/standalone-app.js';
import { clearAbandoned, writeOverride } from '#agent/standalone/override.js';
import { folderSource } from '#agent/standalone/source.js';
import type { ModelName } from '#shared/bundle/names.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { sharedModelFolder, writeFiles } from '../../kit/model-folder.js';
import { affineModel, classifierModel, everyTypeModel, shapelessModel } from '../../kit/onnx-models.js';

const NO_FILES = { files: new Map<string, Uint8Array>() };
const plus = (bias: number): Uint8Array => affineModel({ scale: 1, bias });
const VECTOR = 'input { name: "x" data_type: TYPE_FP32 dims: 4 } output { name: "y" data_type: TYPE_FP32 dims: [4] }';

let root = '';
let standalone: Standalone;
let base = '';

/** What a process left that was killed: its number is beyond what systems give. */
let abandoned = '';

beforeAll(async () => {
  abandoned = await abandonedFolder();
  root = await sharedModelFolder({
    'plain/1/model.onnx': plus(1),
    'plain/2/model.onnx': plus(2),
    'plain/notes/model.onnx': 'no version',
    'plain/007/model.onnx': 'no version',
    'all/1/model.onnx': plus(1),
    'all/2/model.onnx': plus(2),
    'all/config.pbtxt': 'version_policy { all { } }',
    'some/1/model.onnx': plus(1),
    'some/2/model.onnx': plus(2),
    'some/3/model.onnx': plus(3),
    'some/config.pbtxt': 'version_policy: { specific: { versions: [ 1, 2 ] } }',
    'Batched Model/1/model.onnx': plus(1),
    'Batched Model/config.pbtxt': `max_batch_size: 2 dynamic_batching { } ${VECTOR.replace('dims: [4] }', 'dims: [4] label_filename: "labels.txt" }')}`,
    'Batched Model/labels.txt': 'cat\r\ndog\nbird\nfish\n',
    'shaped/1/model.onnx': plus(1),
    'shaped/config.pbtxt': `max_batch_size: 8
      input { name: "x" data_type: TYPE_FP32 dims: [2, 2] reshape { shape: 4 } }
      output { name: "y" data_type: TYPE_FP32 dims: [4, 1] reshape { shape: [4] } }`,
    'python/1/model.py': '',
    'python/config.pbtxt': 'backend: "python"',
    'wrong/1/model.onnx': plus(1),
    'wrong/config.pbtxt': VECTOR.replace('TYPE_FP32', 'TYPE_INT32'),
    'iris/1/model.onnx': classifierModel(),
    'any/1/model.onnx': shapelessModel(),
    'every/1/model.onnx': everyTypeModel(() => ['n']),
    'none/readme.md': '',
    'damaged/1/model.onnx': 'no model',
    'changed/1/model.onnx': plus(1),
    'changed/2/model.onnx': plus(2),
  });
  standalone = await openStandalone({
    source: folderSource(root),
    control: 'explicit',
    load: 'all',
    serve: { tcp: { host: '127.0.0.1', port: 0 } },
    logger: silentLogger,
  });
  await standalone.start();
  base = `http://127.0.0.1:${standalone.address.tcp?.port}`;
});
afterAll(async () => {
  await standalone.close();
  await rm(root, { recursive: true, force: true });
});

async function infer(path: string, shape: readonly number[] = [1, 4]): Promise<{ status: number; body: unknown }> {
  const data = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0);
  const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape, data }] });
  const response = await fetch(`${base}/v2/models/${path}/infer`, { method: 'POST', body });
  return { status: response.status, body: await response.json() };
}
async function ask(model: string, body: object): Promise<unknown> {
  const response = await fetch(`${base}/v2/models/${model}/infer`, { method: 'POST', body: JSON.stringify(body) });
  return response.json();
}
const answer = (version: string, shape: readonly number[], value: number): object => ({
  status: 200,
  body: { model_version: version, outputs: [{ shape, data: Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => value) }] },
});
const states = (name: string): readonly unknown[] =>
  standalone.repository
    .index()
    .filter((entry) => entry.name === name)
    .map(({ version, state, reason }) => [version, state, ...(reason === undefined ? [] : [reason])]);

describe('what a folder serves', () => {
  test('the versions that the policy of a model names', async () => {
    expect(states('plain')).toEqual([[2, 'READY']]);
    expect(states('all')).toEqual([
      [1, 'READY'],
      [2, 'READY'],
    ]);
    expect(states('some')).toEqual([
      [1, 'READY'],
      [2, 'READY'],
    ]);
    expect(await infer('plain')).toMatchObject(answer('2', [1, 4], 2));
    expect(await infer('some')).toMatchObject(answer('2', [1, 4], 2));
    expect(await infer('all/versions/1')).toMatchObject(answer('1', [1, 4], 1));
    expect((await infer('plain/versions/1')).status).toBe(404);
  });

  test('a largest batch, also under a name that no fleet would take', async () => {
    expect(await infer('Batched%20Model', [2, 4])).toMatchObject(answer('1', [2, 4], 1));
    expect(await infer('Batched%20Model', [3, 4])).toMatchObject({ status: 400, body: { code: 'INFERENCE_TOO_MANY_ROWS' } });
  });

  test('tensors in the shapes of the configuration, which are others in the model', async () => {
    expect(await infer('shaped', [3, 2, 2])).toMatchObject(answer('1', [3, 4, 1], 1));
    expect(await infer('shaped', [3, 4])).toMatchObject({ status: 400, body: { code: 'TENSOR_SHAPE' } });
  });

  test('scores by class of a classifier of scikit-learn, with the names of its classes; BF16; and inputs of any shape', async () => {
    const outputs = [{ name: 'probabilities', parameters: { classification: 1 } }];
    const row = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [3, 0] };
    const classified = await ask('iris', { inputs: [row], outputs });
    expect(classified).toMatchObject({ outputs: [{ datatype: 'BYTES', data: [expect.stringMatching(/^0\.\d+:0:0$/)] }] });
    expect(await ask('iris', { inputs: [row] })).toMatchObject({ outputs: [{ name: 'label' }, { name: 'probabilities', shape: [1, 3] }] });
    expect(standalone.repository.config('every' as ModelName)).toMatchObject({
      input: expect.arrayContaining([expect.objectContaining({ name: 'BF16', data_type: 'TYPE_BF16', dims: [-1] })]) as unknown,
    });
    const square = { name: 'x', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] };
    expect(await ask('any', { inputs: [square] })).toMatchObject({ outputs: [{ shape: [2, 2], data: [-1, -2, -3, -4] }] });
  });

  test('what cannot be served says why, and keeps nobody else from it', () => {
    expect(states('python')).toEqual([[undefined, 'UNAVAILABLE', expect.stringContaining('backend "python" is not supported')]]);
    expect(states('none')).toEqual([[undefined, 'UNAVAILABLE', expect.stringContaining('has no folder named 1, 2, 3')]]);
    expect(states('wrong')).toEqual([[1, 'UNAVAILABLE', expect.stringContaining('input x is configured as INT32 [4]')]]);
    expect(states('damaged')).toEqual([[1, 'UNAVAILABLE', expect.any(String)]]);
  });

  test('the status says that nobody signed it', async () => {
    expect(await (await fetch(`${base}/skerry/v1/status`)).json()).toMatchObject({ mode: 'standalone', signed: false, models: root });
  });
});

describe('clients load and unload', () => {
  test('with another configuration, which stays until the folder changes', async () => {
    await standalone.repository.load('changed', { ...NO_FILES, config: '{"versionPolicy":{"specific":{"versions":["1"]}}}' });
    expect(states('changed')).toEqual([
      [1, 'READY'],
      [2, 'UNAVAILABLE', 'unloaded'],
    ]);
    expect(await infer('changed')).toMatchObject(answer('1', [1, 4], 1));
    await standalone.repository.load('changed', NO_FILES);
    expect(await infer('changed')).toMatchObject(answer('1', [1, 4], 1));
    await writeFiles(root, { 'changed/3/model.onnx': plus(3) });
    await standalone.repository.load('changed', NO_FILES);
    expect(await infer('changed')).toMatchObject(answer('3', [1, 4], 3));
  });

  test('a load that fails leaves what was served', async () => {
    const bad = [
      { config: '{"max_batch_size":-5}' },
      { config: '{"name":"other"}' },
      { config: '{"backend":"tensorrt"}' },
      { config: '{"nosuch":1}' },
      { config: 'no json' },
      { config: '{}', files: new Map([['5/model.onnx', Buffer.from('no model')]]) },
      { config: '{}', files: new Map([['../5/model.onnx', plus(5)]]) },
      { files: new Map([['5/model.onnx', plus(5)]]) },
      { config: '{}', files: new Map(['5', '5/model.onnx'].map((name) => [name, plus(5)])) },
      { config: '{}', files: new Map([[`5/${'ü'.repeat(200)}.onnx`, plus(5)]]) },
    ];
    for (const override of bad) {
      const failure: unknown = await standalone.repository.load('plain', { ...NO_FILES, ...override }).catch((cause: unknown) => cause);
      expect(failure).toHaveProperty('code', expect.stringMatching(/^STANDALONE_|^INFERENCE_|^ONNX_|^MODEL_/));
      // Where things lie on this machine is nobody's business.
      expect(String(failure)).not.toContain(os.tmpdir());
      expect(await infer('plain')).toMatchObject(answer('2', [1, 4], 2));
    }
    await expect(standalone.repository.load('nosuch', NO_FILES)).rejects.toMatchObject({ code: 'INFERENCE_MODEL_UNKNOWN' });
    expect(states('nosuch')).toEqual([]);
    expect(JSON.stringify(standalone.repository.index())).not.toContain(root);
  });

  test('files of their own, in place of those in the folder', async () => {
    const files = new Map([['9/model.onnx', plus(9)]]);
    await standalone.repository.load('sent', { config: '{}', files });
    expect(await infer('sent')).toMatchObject(answer('9', [1, 4], 9));
    await expect(standalone.repository.load('sent', NO_FILES)).rejects.toMatchObject({ code: 'INFERENCE_MODEL_UNKNOWN' });
    expect(await infer('sent')).toMatchObject(answer('9', [1, 4], 9));
    await standalone.repository.unload('sent');
    expect((await infer('sent')).status).toBe(404);
    expect(states('sent')).toEqual([[9, 'UNAVAILABLE', 'unloaded']]);
  });

  test('a load that waits for one that fails is listed, and can be unloaded', async () => {
    const failing = standalone.repository.load('twice', NO_FILES);
    const loading = standalone.repository.load('twice', { config: '{}', files: new Map([['4/model.onnx', plus(4)]]) });
    const looking = standalone.repository.look();
    await expect(failing).rejects.toMatchObject({ code: 'INFERENCE_MODEL_UNKNOWN' });
    await Promise.all([loading, looking]);
    expect(await infer('twice')).toMatchObject(answer('4', [1, 4], 4));
    expect(states('twice')).toEqual([[4, 'READY']]);
    await standalone.repository.unload('twice');
    expect((await infer('twice')).status).toBe(404);
  });

  test('the same version with other content takes the place of the old one without a gap', async () => {
    await writeFiles(root, { 'all/2/model.onnx': plus(20) });
    const progress = { loading: true };
    const loaded = standalone.repository.load('all', NO_FILES).then(() => (progress.loading = false));
    const values = new Set<unknown>();
    while (progress.loading) {
      const { status, body } = await infer('all');
      expect(status).toBe(200);
      values.add(JSON.stringify(body).includes('20') ? 'new' : 'old');
    }
    await loaded;
    expect(values).toContain('old');
    expect(await infer('all')).toMatchObject(answer('2', [1, 4], 20));
  });
});

test('folders that a killed process left are taken away at the start, those of a running one are not', async () => {
  await standalone.repository.load('sent', { config: '{}', files: new Map([['9/model.onnx', plus(9)]]) });
  const names = await readdir(os.tmpdir());
  expect(names).not.toContain(basename(abandoned));
  const own = names.filter((name) => name.startsWith('skerry-serve-') && name.includes(`-${process.pid}-`));
  expect(own.length).toBeGreaterThan(0);
  await clearAbandoned();
  expect(await readdir(os.tmpdir())).toEqual(expect.arrayContaining(own));
  await standalone.repository.unload('sent');
});

async function abandonedFolder(): Promise<string> {
  const written = await writeOverride('m', { files: new Map([['1/model.onnx', plus(1)]]) });
  await written.release();
  // As this process would name it, with the number of another.
  const name = basename(dirname(written.folder?.folder ?? '')).replace(`-${process.pid}-`, '-999999999-');
  const made = join(os.tmpdir(), name, 'm');
  await mkdir(made, { recursive: true });
  return dirname(made);
}
