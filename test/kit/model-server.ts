import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import type { ServeConfig } from '#agent/serve/config.js';
import type { Dialect } from '#agent/serve/dialect.js';
import type { ModelRepository } from '#agent/serve/repository.js';
import { createInferenceServer } from '#agent/serve/server.js';
import type { DataPlane } from '#agent/inference/contract.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { buildServable } from './built-servable.js';
import { memoryKeyValue, modelName, versionNumber } from './servables.js';

interface ModelServerOptions {
  readonly dialects: readonly Dialect[];
  /** File bytes by name. */
  readonly models: Readonly<Record<string, Uint8Array>>;
  readonly config?: ServeConfig;
  readonly repository?: (runtime: InferenceRuntime) => ModelRepository;
}

export interface ModelServer {
  readonly runtime: InferenceRuntime;
  readonly recorder: MetricsRecorder;
  readonly base: string;
  /** Another server of the same models, of which it sees one. */
  alone(model: string): Promise<string>;
  close(): Promise<void>;
}

/** A server of real models that speaks some dialects. */
export async function startModelServer({ dialects, models, config, repository }: ModelServerOptions): Promise<ModelServer> {
  const recorder = new MetricsRecorder();
  const runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder, logger: silentLogger });
  await runtime.start();
  for (const [name, bytes] of Object.entries(models)) {
    const { spec } = await buildServable(bytes, name);
    await runtime.load(spec);
    runtime.route(modelName(name), versionNumber(1));
  }
  const closing: (() => Promise<void>)[] = [];
  const serve = async (dataPlane: DataPlane): Promise<string> => {
    const server = createInferenceServer({
      dataPlane,
      feedback: recorder,
      requests: new RequestCounts(),
      metricsText: () => '',
      status: () => ({}),
      agentVersion: '0.1.0',
      logger: silentLogger,
      config: { ...config, tcp: { host: '127.0.0.1', port: 0 } },
      dialects,
      ...(repository === undefined ? {} : { repository: repository(runtime) }),
    });
    await server.start();
    closing.push(() => server.close());
    return `http://127.0.0.1:${server.address.tcp?.port}`;
  };
  return {
    runtime,
    recorder,
    base: await serve(runtime),
    alone: (model) => serve(onlyOf(runtime, model)),
    close: async () => {
      await Promise.all(closing.map((close) => close()));
      await runtime.close();
    },
  };
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
