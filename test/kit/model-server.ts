import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import type { ServeConfig } from '#agent/serve/config.js';
import type { Dialect } from '#agent/serve/dialect.js';
import type { ModelRepository } from '#agent/serve/repository.js';
import { createInferenceServer } from '#agent/serve/server.js';
import type { DataPlane } from '#agent/inference/contract.js';
import { FolderRepository } from '#agent/standalone/folder-repository.js';
import { folderSource } from '#agent/standalone/source.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { buildServable } from './built-servable.js';
import { writeFiles } from './model-folder.js';
import { memoryKeyValue, modelName, versionNumber } from './servables.js';

interface ModelServerOptions {
  readonly dialects: readonly Dialect[];
  /** File bytes by name. */
  readonly models: Readonly<Record<string, Uint8Array>>;
  /** What is known beyond the models, in place of a fleet's repository. */
  readonly repository?: (runtime: InferenceRuntime) => ModelRepository;
  readonly config?: ServeConfig;
  /** Files of a folder of models by path, and those of them that are loaded; clients may load and unload them. */
  readonly folder?: { readonly files: Readonly<Record<string, Uint8Array | string>>; readonly load: readonly string[] };
}

export interface ModelServer {
  readonly runtime: InferenceRuntime;
  readonly recorder: MetricsRecorder;
  readonly base: string;
  /** Of gRPC, where `config` has it. */
  readonly grpc: string;
  /** Another server of the same models, of which it sees one. */
  alone(model: string): Promise<string>;
  close(): Promise<void>;
}

/** A server of real models that speaks some dialects. */
export async function startModelServer({
  dialects,
  models,
  config,
  folder,
  repository: repositoryOf,
}: ModelServerOptions): Promise<ModelServer> {
  const recorder = new MetricsRecorder();
  const runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder, logger: silentLogger });
  await runtime.start();
  for (const [name, bytes] of Object.entries(models)) {
    const { spec } = await buildServable(bytes, name);
    await runtime.load(spec);
    runtime.route(modelName(name), versionNumber(1));
  }
  const repository = folder === undefined ? repositoryOf?.(runtime) : await folderRepository(runtime, folder);
  const closing: (() => Promise<void>)[] = [];
  const serve = async (dataPlane: DataPlane): Promise<Pick<ModelServer, 'base' | 'grpc'>> => {
    const server = await createInferenceServer({
      dataPlane,
      feedback: recorder,
      requests: new RequestCounts(),
      metricsText: () => '',
      status: () => ({}),
      agentVersion: '0.1.0',
      logger: silentLogger,
      config: { ...config, tcp: { host: '127.0.0.1', port: 0 } },
      dialects,
      ...(repository === undefined ? {} : { repository }),
    });
    await server.start();
    closing.push(() => server.close());
    const { tcp, grpc } = server.address;
    return { base: `http://127.0.0.1:${tcp?.port}`, grpc: `grpc://127.0.0.1:${grpc?.port}` };
  };
  return {
    runtime,
    recorder,
    ...(await serve(runtime)),
    alone: async (model) => (await serve(onlyOf(runtime, model))).base,
    close: async () => {
      await Promise.all(closing.map((close) => close()));
      await runtime.close();
    },
  };
}

async function folderRepository(
  runtime: InferenceRuntime,
  { files, load }: NonNullable<ModelServerOptions['folder']>,
): Promise<ModelRepository> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'skerry-test-'));
  await writeFiles(root, files);
  const options = { source: folderSource(root), control: 'explicit', load, runtime, instances: 1, logger: silentLogger } as const;
  const repository = new FolderRepository(options);
  await repository.start();
  return repository;
}

function onlyOf(runtime: DataPlane, model: string): DataPlane {
  return {
    infer: (request) => runtime.infer(request),
    list: () => runtime.list().filter((status) => status.model === model),
    find: (name, version) => runtime.find(name, version),
    routed: (name) => runtime.routed(name),
    targetOf: (name, version) => runtime.targetOf(name, version),
    statistics: (name, version) => runtime.statistics(name, version),
  };
}
