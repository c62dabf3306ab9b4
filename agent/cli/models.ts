import type { Command } from 'commander';
import type { Reported } from '#shared/protocol/messages.js';
import { formatBytes } from '#shared/terminal/format.js';
import { type Column, printJson, printTable } from '#shared/terminal/output.js';
import { type CommonOptions, dataOf, outputOf, withData, withJson } from './common.js';

export function addModels(program: Command): void {
  const command = program.command('models').description('List the models of this device: serving, pending and refused versions.');
  command.addHelpText('after', '\nExample:\n  skerry-agent models --data ./device');
  withJson(withData(command)).action(async (options: CommonOptions) => {
    const out = outputOf(options);
    const { LocalApi } = await import('./local-api.js');
    const { reported, memory } = await (await LocalApi.find(dataOf(options))).status();
    if (out.json) printJson(out, reported.models);
    else
      printTable(
        out,
        MODEL_COLUMNS,
        modelRows(reported.models, memory?.versions),
        'No model yet. Deploy one on the hub: skerry deploy NAME@VERSION --to SELECTOR',
      );
  });
}

type Model = Reported['models'][number];
interface ModelRow {
  readonly model: string;
  readonly serves: boolean;
  readonly version: Model['versions'][number];
  readonly memory: Memory | undefined;
}

/** What a loaded version takes. */
interface Memory {
  readonly model: string;
  readonly version: number;
  readonly bytes: number;
  readonly isEstimate: boolean;
}

export function modelRows(models: readonly Model[], memory: readonly Memory[] = []): readonly ModelRow[] {
  return models.flatMap(({ model, serving, versions }) =>
    versions.map((version) => ({
      model,
      serves: version.version === serving,
      version,
      memory: memory.find((loaded) => loaded.model === model && loaded.version === version.version),
    })),
  );
}

/** `about 12 MiB` where it is an estimate. */
export function memoryText(bytes: number, isEstimate: boolean): string {
  return `${isEstimate ? 'about ' : ''}${formatBytes(bytes)}`;
}

export const MODEL_COLUMNS: readonly Column<ModelRow>[] = [
  { title: 'model', value: (row) => row.model },
  { title: 'version', align: 'right', value: (row) => row.version.version },
  { title: 'serves', value: (row) => (row.serves ? 'yes' : undefined) },
  { title: 'install', value: (row) => row.version.install },
  { title: 'runtime', value: ({ version }) => (version.asleep === true ? 'asleep' : version.servable) },
  { title: 'variant', value: (row) => row.version.variant },
  { title: 'on', value: (row) => row.version.provider },
  {
    title: 'memory',
    align: 'right',
    value: ({ memory }) => (memory === undefined ? undefined : memoryText(memory.bytes, memory.isEstimate)),
  },
  { title: 'note', value: (row) => noteOf(row.version) },
];

function noteOf({ error, progress }: ModelRow['version']): string | undefined {
  if (error !== undefined) return `${error.code}: ${error.message}`;
  return progress === undefined ? undefined : `${formatBytes(progress.have)} of ${formatBytes(progress.total)}`;
}
