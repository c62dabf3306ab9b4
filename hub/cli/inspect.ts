import type { Command } from 'commander';
import { formatBytes } from '#shared/terminal/format.js';
import { requireFiles } from '#shared/terminal/named-files.js';
import { type Output, paint, printJson, printLine, printTable } from '#shared/terminal/output.js';
import { inspectModel, type ModelInspection } from '../publisher/inspect.js';
import type { DeclaredTensor } from '../publisher/runtime.js';

/** Adds `skerry inspect`. */
export function registerInspectCommand(program: Command, makeOutput: (json: boolean) => Output): void {
  program
    .command('inspect')
    .description('show what an ONNX model takes and gives, as the runtime sees it')
    .argument('<model.onnx>', 'the model file')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  skerry inspect silero_vad.onnx')
    .action(async (path: string, options: { json?: boolean }) => {
      const out = makeOutput(options.json === true);
      await requireFiles([path]);
      const inspection = await inspectModel(path);
      if (out.json) printJson(out, toJson(inspection));
      else printInspection(out, inspection);
    });
}

function toJson(inspection: ModelInspection): unknown {
  const tensors = (side: readonly DeclaredTensor[]): unknown => side.map(({ spec, dimensions }) => ({ ...spec, dimensions }));
  return { ...inspection, inputs: tensors(inspection.inputs), outputs: tensors(inspection.outputs) };
}

function printInspection(out: Output, inspection: ModelInspection): void {
  const { producer } = inspection;
  const others = Object.entries(inspection.opsets).filter(([domain]) => domain !== '');
  const operators = [`opset ${inspection.opset}`, ...others.map(([domain, version]) => `${domain} ${version}`)].join(', ');
  const madeBy = producer.name === '' ? 'unknown producer' : `${producer.name} ${producer.version}`.trim();
  printLine(out, paint(out, 'bold', inspection.path));
  printLine(out, `${formatBytes(inspection.sizeBytes)}, ONNX IR ${inspection.irVersion}, ${operators}, made by ${madeBy}`);
  printLine(out);
  const rows = [
    ...inspection.inputs.map((tensor) => ({ kind: 'input', ...tensor })),
    ...inspection.outputs.map((tensor) => ({ kind: 'output', ...tensor })),
  ];
  printTable(
    out,
    [
      { title: '', value: (row) => row.kind },
      { title: 'name', value: (row) => row.spec.name },
      { title: 'type', value: (row) => row.spec.datatype },
      { title: 'shape', value: (row) => `[${row.dimensions.map((size) => (size === '' ? '?' : String(size))).join(', ')}]` },
    ],
    rows,
  );
}
