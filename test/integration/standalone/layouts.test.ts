import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStandalone, type Standalone } from '#agent/standalone-app.js';
import { sourceAt } from '#agent/standalone/source.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { modelFolder, sharedModelFolder, writeFiles } from '../../kit/model-folder.js';
import { affineModel } from '../../kit/onnx-models.js';
import { modelName } from '../../kit/servables.js';

const plus = (bias: number): Uint8Array => affineModel({ scale: 1, bias });
const MLMODEL =
  'flavors:\n  onnx:\n    onnx_version: 1.17.0\n    data: weights/model.onnx\n  python_function:\n    loader_module: mlflow.onnx\n';

describe('layouts', () => {
  const named = async (files: Readonly<Record<string, string | Uint8Array>>, path = '.', name?: string): Promise<unknown> => {
    const source = await sourceAt([join(await modelFolder(files), path)], name);
    const models = (await source.names()).map(async (model) => {
      const folder = await source.read(model);
      if (folder === undefined) return [model];
      const paths = folder.versions.map((version) =>
        folder.fileOf(version, undefined).then(({ file }) => file.slice(folder.folder.length)),
      );
      return [model, ...(await Promise.all(paths))];
    });
    return Promise.all(models);
  };

  test('a file is named by its name', async () => {
    expect(await named({ 'resnet.onnx': plus(1) }, 'resnet.onnx')).toEqual([['resnet', '/resnet.onnx']]);
    expect(await named({ 'resnet.onnx': plus(1) }, 'resnet.onnx', 'mine')).toEqual([['mine', '/resnet.onnx']]);
  });

  test('a model of TensorFlow Serving: a folder of versions, also below a folder of models', async () => {
    const files = { 'half/1/saved.onnx': plus(1), 'half/20/model.onnx': plus(2), 'half/x/model.onnx': plus(3) };
    expect(await named(files, 'half')).toEqual([['half', '/1/saved.onnx', '/20/model.onnx']]);
    expect(await named(files)).toEqual([['half', '/1/saved.onnx', '/20/model.onnx']]);
  });

  test('what KServe mounts: a folder with an ONNX file', async () => {
    expect(await named({ 'models/model.onnx': plus(1) }, 'models', 'vad')).toEqual([['vad', '/model.onnx']]);
    expect(await named({ 'models/vad/net.onnx': plus(1) }, 'models')).toEqual([['vad', '/net.onnx']]);
  });

  test('a model of MLflow, and several layouts beside each other', async () => {
    const mlflow = { 'fit/MLmodel': MLMODEL, 'fit/weights/model.onnx': plus(1) };
    expect(await named(mlflow, 'fit')).toEqual([['fit', '/model.onnx']]);
    expect(await named({ ...mlflow, 'flat/model.onnx': plus(2), 'deep/3/model.onnx': plus(3) })).toEqual([
      ['deep', '/3/model.onnx'],
      ['fit', '/model.onnx'],
      ['flat', '/model.onnx'],
    ]);
  });

  test('models of other kinds are refused by name, and folders without models say what is understood', async () => {
    await expect(named({ 'm/1/saved_model.pb': '' })).rejects.toThrow(/a TensorFlow SavedModel.*tf2onnx/);
    await expect(named({ 'm/1/model.pt': '' })).rejects.toThrow(/a PyTorch model/);
    await expect(named({ 'm/1/model.plan': '' })).rejects.toThrow(/a TensorRT engine/);
    await expect(named({ 'm/1/a.onnx': '', 'm/1/b.onnx': '' })).rejects.toThrow(/several ONNX files/);
    await expect(named({ MLmodel: 'flavors:\n  sklearn: {}\n' })).rejects.toThrow(/without the flavor onnx \(it has sklearn\)/);
    await expect(named({ MLmodel: 'flavors:\n  onnx:\n    data: ../../etc/passwd\n' })).rejects.toThrow(/there is no file/);
    await expect(named({ MLmodel: 'a: &a [1]\nb: *a\n' })).rejects.toThrow(/is not YAML/);
    await expect(named({ 'notes/readme.md': '' })).rejects.toThrow(/no model was found in .* Understood are an ONNX file/);
    // Models may come into an empty folder later.
    expect(await named({})).toEqual([]);
    await expect(named({}, 'nothing')).rejects.toMatchObject({ code: 'STANDALONE_FOLDER' });
    await expect(sourceAt(['a', 'b'].map((folder) => join(folder, 'm.onnx')))).rejects.toMatchObject({ code: 'STANDALONE_FOLDER' });
  });
});

describe('a folder that is looked at again and again', () => {
  let root = '';
  let standalone: Standalone;
  const served = (name: string): readonly string[] =>
    standalone.repository.index().flatMap((entry) => (entry.name === name ? [`${entry.version} ${entry.state}`] : []));
  const value = async (name: string): Promise<number | undefined> => {
    const data = new Uint8Array(16);
    const { outputs } = await standalone.runtime.infer({
      model: modelName(name),
      inputs: { x: { datatype: 'FP32', shape: [1, 4], data } },
    });
    const y = outputs['y']?.data;
    return y === undefined ? undefined : new DataView(y.buffer, y.byteOffset).getFloat32(0, true);
  };

  beforeAll(async () => {
    root = await sharedModelFolder({
      'a/1/model.onnx': plus(1),
      'a/2/model.onnx': plus(2),
      'a/config.pbtxt': 'version_policy { latest { num_versions: 2 } }',
      'a/version-labels.json': '{"stable": 1, "canary": 3}',
      'gone/1/model.onnx': plus(1),
    });
    // The clock of the machine is enough: the test looks by itself, long before it is time to.
    standalone = await openStandalone({
      source: await sourceAt([root]),
      control: 'poll',
      serve: { tcp: { host: '127.0.0.1', port: 0 } },
      logger: silentLogger,
    });
    await standalone.start();
  });
  afterAll(async () => {
    await standalone.close();
    await rm(root, { recursive: true, force: true });
  });

  test('what is new is served, what is gone is not', async () => {
    await rm(join(root, 'gone'), { recursive: true });
    await writeFiles(root, { 'new/1/model.onnx': plus(5) });
    await standalone.repository.look();
    expect(served('gone')).toEqual([]);
    expect(await value('new')).toBe(5);
  });

  test('a label stays where it is until its version is served', async () => {
    expect(standalone.repository.labels(modelName('a'))).toEqual({ stable: 1 });
    await writeFiles(root, { 'a/version-labels.json': '{"stable": 9, "canary": 2}' });
    await standalone.repository.look();
    expect(standalone.repository.labels(modelName('a'))).toEqual({ stable: 1, canary: 2 });
    expect(standalone.repository.labelled(modelName('a'), 'canary')).toBe(2);
    expect(() => standalone.repository.labelled(modelName('a'), 'beta')).toThrow(/no label "beta"/);
  });

  test('a version that comes takes over; one that goes is unloaded, and its label with it', async () => {
    await writeFiles(root, { 'a/3/model.onnx': plus(3) });
    await standalone.repository.look();
    expect(served('a')).toEqual(['1 UNAVAILABLE', '2 READY', '3 READY']);
    expect(standalone.repository.labels(modelName('a'))).toEqual({ canary: 2 });
    expect(await value('a')).toBe(3);
    await rm(join(root, 'a/3'), { recursive: true });
    await standalone.repository.look();
    expect(await value('a')).toBe(2);
  });

  test('a change that cannot be loaded leaves what was served, and is tried again once it changes', async () => {
    await writeFiles(root, { 'new/2/model.onnx': 'half a file' });
    await standalone.repository.look();
    expect(await value('new')).toBe(5);
    expect(served('new')).toEqual(['1 READY', '2 UNAVAILABLE']);
    await writeFiles(root, { 'new/2/model.onnx': plus(6) });
    await standalone.repository.look();
    expect(await value('new')).toBe(6);
    await expect(standalone.repository.load('new', { files: new Map() })).rejects.toMatchObject({ code: 'SERVE_REPOSITORY_FIXED' });
  });
});
