import type { Command } from 'commander';
import { runtimesFor } from '#shared/bundle/opsets.js';
import { formatBytes } from '#shared/terminal/format.js';
import { requireFiles } from '#shared/terminal/named-files.js';
import { type Output, paint, printJson, printLine, printNote, printTable } from '#shared/terminal/output.js';
import { inspectModel, type ModelInspection } from '../publisher/inspect.js';
import type { ModelValue } from '../publisher/model-values.js';

/** Longest text of a metadata entry that is shown; all of it stands in the JSON. */
const SHOWN_METADATA = 120;

/** Adds `skerry inspect`. */
export function registerInspectCommand(program: Command, makeOutput: (json: boolean) => Output): void {
  program
    .command('inspect')
    .description('Show the inputs, outputs, operators and metadata of an ONNX model.')
    .argument('<model.onnx>', 'ONNX file of the model.')
    .option('--json', 'Print one JSON object.')
    .addHelpText('after', '\nExample:\n  skerry inspect silero_vad.onnx')
    .action(async (path: string, options: { json?: boolean }) => {
      const out = makeOutput(options.json === true);
      await requireFiles([path]);
      const inspection = await inspectModel(path);
      if (out.json) printJson(out, toJson(inspection));
      else printInspection(out, inspection);
      if (inspection.problem !== undefined) throw inspection.problem;
    });
}

function toJson(inspection: ModelInspection): unknown {
  const values = (side: readonly ModelValue[]): unknown =>
    side.map(({ name, type, dimensions, tensor }) => ({
      ...(tensor?.spec ?? { name, type }),
      ...(dimensions === undefined ? {} : { dimensions }),
      servable: tensor !== undefined,
    }));
  const { externalFiles: _files, unreadable, problem, ...shown } = inspection;
  return {
    ...shown,
    ...(problem === undefined ? {} : { problem: problem.toBody() }),
    ...(unreadable === undefined ? {} : { unreadable: unreadable.reason }),
    devices: devicesFor(inspection),
    features: inspection.features,
    inputs: values(inspection.inputs),
    outputs: values(inspection.outputs),
  };
}

function printInspection(out: Output, inspection: ModelInspection): void {
  printLine(out, paint(out, 'bold', inspection.path));
  printLine(out, headline(inspection));
  printLine(out, `Its opset is known to ${devicesFor(inspection)}`);
  printLine(out);
  printValues(out, inspection);
  printOperators(out, inspection);
  printMetadata(out, inspection);
  if (inspection.features.length > 0) {
    printNote(out, `Some of them are offered as other tensors than the model has; agents need ${inspection.features.join(', ')}.`);
  }
  const left = inspection.outputs.filter(({ tensor }) => tensor === undefined);
  if (inspection.problem === undefined && left.length > 0) {
    printNote(
      out,
      `Outputs that are no tensors cannot be served; "skerry publish" says how to leave them out or to export them otherwise.`,
    );
  }
}

function headline({ sizeBytes, irVersion, opset, opsets, producer, form }: ModelInspection): string {
  const others = Object.entries(opsets).filter(([domain]) => domain !== '');
  const sets = [...(opset === undefined ? [] : [`opset ${opset}`]), ...others.map(([domain, version]) => `${domain} ${version}`)];
  const madeBy = producer.name === '' ? 'unknown producer' : `${producer.name} ${producer.version}`.trim();
  return [formatBytes(sizeBytes), form, `ONNX IR ${irVersion}`, ...sets, `made by ${madeBy}`].join(', ');
}

/** Which runtimes of devices know the model: by its opset, and the one here that loaded it. */
function devicesFor({ opset, runtime }: ModelInspection): string {
  const since = sinceOf(opset);
  return runtime === undefined ? since : `${since}; ${runtime} loaded it here`;
}

function sinceOf(opset: number | undefined): string {
  const needed = opset === undefined ? undefined : runtimesFor(opset);
  if (needed === undefined) return 'devices with any ONNX Runtime 1';
  const { earliest, surely } = needed;
  if (surely === earliest) return `devices with ONNX Runtime 1.${earliest} or newer (opset ${opset})`;
  if (surely === undefined) return `no release for sure: of 1.${earliest} and newer it is not known (opset ${opset})`;
  return `devices with ONNX Runtime 1.${surely} or newer; of 1.${earliest} to 1.${surely - 1} it is not known (opset ${opset})`;
}

function printValues(out: Output, { inputs, outputs }: ModelInspection): void {
  printTable(
    out,
    [
      { title: '', value: (row) => row.kind },
      { title: 'name', value: (row) => row.name },
      { title: 'type', value: (row) => row.type },
      { title: 'shape', value: shapeText },
    ],
    [...inputs.map((value) => ({ kind: 'input', ...value })), ...outputs.map((value) => ({ kind: 'output', ...value }))],
    'It takes and gives nothing.',
  );
}

function shapeText({ dimensions, tensor }: ModelValue): string {
  if (dimensions !== undefined) return `[${dimensions.map((size) => (size === '' ? '?' : String(size))).join(', ')}]`;
  return tensor === undefined ? '-' : 'any';
}

function printOperators(out: Output, { operators }: ModelInspection): void {
  if (operators.length === 0) return;
  printLine(out);
  printTable(
    out,
    [
      { title: 'operator', value: (row) => row.name },
      { title: 'domain', value: (row) => row.domain },
      { title: 'uses', align: 'right', value: (row) => row.count },
    ],
    operators,
  );
}

function printMetadata(out: Output, { metadata }: ModelInspection): void {
  if (metadata.length === 0) return;
  printLine(out);
  const shorten = (text: string): string =>
    text.length > SHOWN_METADATA ? `${text.slice(0, SHOWN_METADATA)}... (${text.length} characters)` : text;
  printTable(
    out,
    [
      { title: 'metadata', value: (row) => row.key },
      { title: 'value', value: (row) => shorten(row.value) },
    ],
    metadata,
  );
}
