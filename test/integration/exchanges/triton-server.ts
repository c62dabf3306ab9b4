import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { folderSource } from '#agent/standalone/source.js';
import { openStandalone, type Standalone } from '#agent/standalone-app.js';
import { silentLogger } from '#shared/kernel/logger.js';
import type { HttpExchange } from './record.js';

/** A model of the record, as `models.json` has it. */
const recordedModel = z.object({
  config_pbtxt: z.string(),
  versions: z.array(z.number()),
  loaded_at_start: z.boolean(),
  /** ONNX file that does what their Python model does, by version. */
  onnx: z.record(z.string(), z.string()).optional(),
  labels: z.array(z.string()).optional(),
});

type RecordedModel = z.infer<typeof recordedModel>;

/** A server with the models of the record. */
export interface TritonTwin {
  readonly server: Standalone;
  /** Models that were Python programs with no ONNX file beside the record, or that ask for what we refuse. */
  readonly lacking: ReadonlySet<string>;
}

/** Writes the models of the record as a model repository in `folder`, and serves it as the recorded server did: those of the start are loaded. */
export async function serveTwin(recorded: string, folder: string): Promise<TritonTwin> {
  const models = z.record(z.string(), recordedModel).parse(JSON.parse(await readFile(path.join(recorded, 'models.json'), 'utf8')));
  const lacking = new Set<string>();
  const load: string[] = [];
  for (const [name, model] of Object.entries(models)) {
    if (model.loaded_at_start && model.onnx === undefined) lacking.add(name);
    else await writeModel(recorded, path.join(folder, name), model);
    if (model.loaded_at_start && model.onnx !== undefined) load.push(name);
  }
  const server = await openStandalone({
    source: folderSource(folder),
    control: 'explicit',
    load,
    // Over a Unix socket, clients may change settings.
    serve: { grpc: { host: '127.0.0.1', port: 0 }, unix: { path: path.join(folder, '.socket') }, closeGrace: 200, sharedMemory: true },
    inference: { isolation: 'thread' },
    logger: silentLogger,
  });
  await server.start();
  return { server, lacking };
}

/** Their backend was Python; a model without an ONNX file is one that must fail to load. */
async function writeModel(
  recorded: string,
  folder: string,
  { config_pbtxt: config, versions, onnx, labels }: RecordedModel,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'config.pbtxt'), config.replace('backend: "python"', 'backend: "onnxruntime"'));
  if (labels !== undefined) await writeFile(path.join(folder, 'labels.txt'), `${labels.join('\n')}\n`);
  for (const version of versions) {
    const file = path.join(folder, String(version), 'model.onnx');
    await mkdir(path.dirname(file));
    const source = onnx?.[String(version)];
    if (source === undefined) await writeFile(file, 'no model');
    else await copyFile(path.join(recorded, source), file);
  }
}

/** The exchange with the backend of our models in the configurations that it sends. */
export function withOurBackend(exchange: HttpExchange): HttpExchange {
  const { body_text: text } = exchange;
  if (text === undefined || !exchange.path.endsWith('/load')) return exchange;
  return { ...exchange, body_text: text.replaceAll(String.raw`\"python\"`, String.raw`\"onnxruntime\"`) };
}
