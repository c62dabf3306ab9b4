import { SkerryError } from '#shared/kernel/errors.js';
import { describeType } from '#shared/tensor/check.js';
import { formatBytes } from '#shared/terminal/format.js';
import { type Column, type Output, paint, printJson, printLine, printTable } from '#shared/terminal/output.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import { whereFound } from '../running.js';
import type { Standalone } from '../standalone-app.js';
import { memoryText } from './models.js';
import { curlLine } from './curl-line.js';

type Entry = ReturnType<Standalone['repository']['index']>[number];

/** A version, or a model without one, as the table shows it. */
interface Row extends Entry {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly memoryBytes?: number;
  readonly memoryEstimated?: true;
  readonly asleep?: true;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'model', value: ({ name }) => name },
  { title: 'version', align: 'right', value: ({ version }) => version },
  { title: 'state', value: ({ state, asleep }) => (asleep === true ? 'READY (asleep)' : state) },
  {
    title: 'memory',
    align: 'right',
    value: ({ memoryBytes, memoryEstimated }) =>
      memoryBytes === undefined ? undefined : memoryText(memoryBytes, memoryEstimated === true),
  },
  { title: 'inputs', value: ({ inputs }) => describe(inputs) },
  { title: 'outputs', value: ({ outputs }) => describe(outputs) },
];

/** Says what is served and where, once it is. */
export function printServing(out: Output, standalone: Standalone, dialects: readonly string[] | undefined): void {
  const { address, repository, runtime, status } = standalone;
  const { http, socket } = whereFound(address);
  const rows = rowsOf(standalone);
  const { models, control, access } = status();
  // The example speaks the Open Inference Protocol.
  const ready = dialects?.includes('oip') === false ? undefined : rows.find(({ state }) => state === 'READY');
  const curl = ready === undefined || http === null ? undefined : curlLine(http, ready);
  if (out.json) {
    printJson(out, { http, grpc: address.grpc ?? null, socket, control, signed: false, access, models: rows, curl });
    return;
  }
  printLine(out, `${paint(out, 'bold', `Serving ${models}`)} without a hub. Nobody has signed these models.\n`);
  printTable(out, COLUMNS, rows, 'No model is there yet.');
  printReasons(out, repository.index());
  printLine(out);
  const grpc = address.grpc === undefined ? null : `${address.grpc.host}:${address.grpc.port}`;
  for (const [what, where] of [
    ['HTTP', http],
    ['gRPC', grpc],
    ['socket', socket],
  ] as const) {
    if (where !== null) printLine(out, `${what.padEnd(8)}${where}`);
  }
  const { heldBytes, budgetBytes } = runtime.memory();
  const limit = budgetBytes === undefined ? '' : ` of ${formatBytes(budgetBytes)} (--model-memory)`;
  printLine(out, `${'memory'.padEnd(8)}${formatBytes(heldBytes)}${limit} for loaded models`);
  printLine(out, `${'control'.padEnd(8)}${CONTROL[control]}`);
  if (access.kind === 'open' && access.warning !== undefined) printLine(out, paint(out, 'yellow', access.warning));
  if (curl !== undefined) printLine(out, `\n${paint(out, 'dim', 'Try it:')}\n${curl}`);
  else if (control === 'explicit' && http !== null)
    printLine(out, `\n${paint(out, 'dim', 'Load a model:')}\ncurl -X POST ${http}/v2/repository/models/NAME/load`);
  printLine(out, `\nCtrl-C ends it.`);
}

/** Beyond these the log has them. */
const MOST_REASONS = 10;

function printReasons(out: Output, entries: readonly Entry[]): void {
  const reasons = entries.filter(({ reason }) => reason !== undefined);
  if (reasons.length > 0) printLine(out);
  for (const { name, version, reason } of reasons.slice(0, MOST_REASONS)) {
    printLine(out, `${paint(out, 'red', version === undefined ? name : `${name} ${version}`)}: ${reason}`);
  }
  if (reasons.length > MOST_REASONS) printLine(out, `... and ${reasons.length - MOST_REASONS} more, which the log names.`);
}

const CONTROL = {
  none: 'models stay as they are (--control none)',
  poll: 'the folder is read again and again (--control poll)',
  explicit: 'clients load and unload models (--control explicit)',
} as const;

/** Why there is nothing to serve; undefined when there is something. */
export function noneServes(entries: readonly Entry[]): SkerryError | undefined {
  if (entries.some(({ state }) => state === 'READY')) return undefined;
  const reasons = entries.flatMap(({ reason }) => (reason === undefined ? [] : [reason]));
  const more = reasons.length > 5 ? `; and ${reasons.length - 5} more` : '';
  if (reasons.length === 0) return new SkerryError('STANDALONE_NOTHING', 'there is no model in the folder');
  return new SkerryError('STANDALONE_NOTHING', `no model could be loaded: ${reasons.slice(0, 5).join('; ')}${more}`);
}

function rowsOf({ repository, runtime }: Standalone): readonly Row[] {
  const served = runtime.list();
  return repository.index().map((entry) => {
    const status = served.find(({ model, version }) => model === entry.name && version === entry.version);
    const { inputs = [], outputs = [], memoryBytes, memoryEstimated, asleep } = status ?? {};
    const memory = memoryBytes === undefined ? {} : { memoryBytes, ...(memoryEstimated && { memoryEstimated }), ...(asleep && { asleep }) };
    return { ...entry, inputs, outputs, ...memory };
  });
}

function describe(tensors: readonly TensorSpec[]): string | undefined {
  return tensors.length === 0 ? undefined : tensors.map((spec) => `${spec.name} ${describeType(spec)}`).join(', ');
}
