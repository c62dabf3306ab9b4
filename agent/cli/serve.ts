import { type Command, Option } from 'commander';
import { foregroundClock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { keepNativePartsBelow } from '#shared/kernel/native-parts.js';
import { prepareMemory, releaseMemoryOnceSettled } from '#shared/kernel/release-memory.js';
import { EXIT } from '#shared/terminal/run-cli.js';
import { type AgentConfig, type AgentSettingKey, loadServeConfig, serveSettingEntries } from '../config.js';
import { inferenceSettings } from '../assembly/inference-settings.js';
import type { Standalone, StandaloneOptions } from '../standalone-app.js';
import { type CommonOptions, outputOf, withJson } from './common.js';
import { endByForce, listenForSignals } from './end-signals.js';
import { readSettingFlags } from './setting-flags.js';

const CONTROLS = ['none', 'poll', 'explicit'] as const;
/** Where KServe and Kubernetes put a model. */
const MOUNTED = '/mnt/models';
const CLOSE_DEADLINE_MS = 20_000;

interface ServeOptions extends CommonOptions {
  readonly repository?: string;
  readonly control: (typeof CONTROLS)[number];
  readonly load?: readonly string[];
  readonly modelName?: string;
  readonly config?: string;
}

export function addServe(program: Command): void {
  const command = program
    .command('serve')
    .description('Serve models of this machine without a hub: ONNX files, a model, or a folder of models. Nobody has signed them.')
    .argument('[models...]', `ONNX files, folders of one model, or one folder of models. (default: ${MOUNTED}, if present)`)
    .option('--repository <dir>', 'Folder of models: MODEL/VERSION/model.onnx, with or without MODEL/config.pbtxt.')
    .addOption(
      new Option('--control <mode>', 'What changes the models after the start: nothing, the folder (read again), or clients.')
        .choices(CONTROLS)
        .default('none'),
    )
    .option(
      '--load <name>',
      'Model to load at the start; "*" loads all. Repeatable. (default: all, and none with --control explicit)',
      collect,
    )
    .option('--model-name <name>', 'Name of the only model. (default: the name of its file or folder)')
    .option('--config <file>', 'YAML or JSON file with settings. (default: serve.yaml in the data folder, if present)');
  for (const [, entry] of serveSettingEntries()) {
    const standard = entry.default === undefined ? '' : `; default: ${entry.default}`;
    command.option(`--${entry.flag} <${entry.value}>`, `${entry.doc} (${entry.env}${standard})`);
  }
  withJson(command)
    .addHelpText('after', HELP)
    .action((models: readonly string[], options: ServeOptions) => serve(models, options));
}

const HELP = `
Layouts: an ONNX file; a folder of models as Triton has it; VERSION/model.onnx as TensorFlow Serving has it; a folder with
model.onnx as KServe mounts it; an MLflow model with the flavor onnx. Versions are folders named 1, 2, 3 ...

A config.pbtxt says what Triton's says: inputs and outputs, max_batch_size, version_policy, dynamic_batching. What Skerry does
not have is refused by name: the model is then listed as UNAVAILABLE with the reason. version-labels.json beside it, such as
{"stable": 3}, names versions.

Examples:
  skerry-agent serve model.onnx
  skerry-agent serve --repository ./models --control explicit --load resnet
  skerry-agent serve ./models --control poll --http-host 0.0.0.0

The exit code is 0 after SIGTERM or Ctrl-C, once requests in flight are answered, and 1 when no model could be loaded.`;

function collect(name: string, names: readonly string[] | undefined): readonly string[] {
  return [...(names ?? []), name];
}

async function serve(models: readonly string[], options: ServeOptions): Promise<void> {
  const signals = listenForSignals();
  try {
    await untilSignal(models, options, signals.first);
  } finally {
    signals.release();
  }
}

async function untilSignal(models: readonly string[], options: ServeOptions, signal: Promise<string>): Promise<void> {
  const out = outputOf(options);
  const config = await loadServeConfig({ flags: flagsOf(options), env: process.env, configFile: options.config });
  keepNativePartsBelow(config.data);
  prepareMemory();
  const [{ openStandalone }, { serveConfigOf }, { sourceAt }, { createPinoLogger }, { printServing, noneServes }] = await Promise.all([
    import('../standalone-app.js'),
    import('../assembly/serve-config.js'),
    import('../standalone/source.js'),
    import('#shared/terminal/pino-logger.js'),
    import('./serve-report.js'),
  ]);
  const source = await sourceAt(await pathsOf(models, options), options.modelName);
  const logger = await createPinoLogger({ level: config.logLevel, name: 'skerry-agent' });
  const standalone = await openStandalone({ ...standaloneOptions(config, options), serve: serveConfigOf(config), source, logger });
  let cancelForce: () => void = () => undefined;
  try {
    await standalone.start();
    const failure = options.control === 'none' ? noneServes(standalone.repository.index()) : undefined;
    if (failure !== undefined) throw failure;
    printServing(out, standalone, config.dialects);
    releaseMemoryOnceSettled();
    await signal;
  } finally {
    cancelForce = foregroundClock.schedule(CLOSE_DEADLINE_MS, () => endNow(standalone));
    await standalone.close().finally(() => {
      cancelForce();
      if (standalone.runtime.stuckThreads() > 0) endByForce();
    });
  }
  process.exitCode = EXIT.ok;
}

/** What does not end by then is ended. */
function endNow(standalone: Standalone): void {
  standalone.runtime.abandonAll();
  endByForce();
}

function flagsOf(options: ServeOptions): Partial<Record<AgentSettingKey, string>> {
  return readSettingFlags(options, serveSettingEntries());
}

/** What is named, or else where a model is mounted. */
async function pathsOf(models: readonly string[], { repository }: ServeOptions): Promise<readonly string[]> {
  const named = repository === undefined ? models : [...models, repository];
  if (named.length > 0) return named;
  const { kindOf } = await import('../standalone/layouts/files.js');
  if ((await kindOf(MOUNTED)) === 'folder') return [MOUNTED];
  throw new SkerryError('CLI_USAGE', 'name an ONNX file or a folder of models, such as: skerry-agent serve model.onnx');
}

function standaloneOptions(config: AgentConfig, { control, load }: ServeOptions): Omit<StandaloneOptions, 'source' | 'logger' | 'serve'> {
  return {
    control,
    ...(load === undefined ? {} : { load: load.includes('*') ? 'all' : load }),
    ...(config.dialects === undefined ? {} : { dialects: config.dialects }),
    inference: inferenceSettings(config),
    settings: config,
  };
}
