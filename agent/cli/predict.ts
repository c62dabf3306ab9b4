import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { DATATYPES } from '#shared/tensor/datatype.js';
import { formatDuration } from '#shared/terminal/format.js';
import { requireFiles } from '#shared/terminal/named-files.js';
import { type Output, paint, printJson, printLine } from '#shared/terminal/output.js';
import { type CommonOptions, dataOf, outputOf, withData, withJson } from './common.js';
import { type GivenInput, type InputSpec, shapeInput } from './predict-input.js';

interface PredictOptions extends CommonOptions {
  readonly input: Readonly<Record<string, string>>;
  readonly shape: Readonly<Record<string, string>>;
  readonly file?: string;
  readonly modelVersion?: string;
}

export function addPredict(program: Command): void {
  const command = program
    .command('predict')
    .description('ask the running agent for one prediction')
    .argument('<model>', 'name of the model')
    .option('--input <name=values>', 'values of an input as JSON, or @FILE with them; may be given several times', addPair, {})
    .option('--shape <name=sizes>', 'shape of an input, such as x=1,3 (default: that of the values, or of the model)', addPair, {})
    .option('--file <file>', 'a whole request as JSON: {"inputs": {"name": values}}, or as the Open Inference Protocol has it')
    .option('--model-version <number>', 'a version (default: the one in service)')
    .addHelpText(
      'after',
      `
Examples:
  skerry-agent predict classifier --input 'x=[[1, 2, 3]]'
  skerry-agent predict vad --input input=@frame.json --input 'sr=16000' --input state=@zeros.json --shape state=2,1,128`,
    );
  withJson(withData(command)).action((model: string, options: PredictOptions) => runPredict(model, options));
}

function addPair(text: string, pairs: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('wants NAME=VALUE');
  return { ...pairs, [text.slice(0, at)]: text.slice(at + 1) };
}

const metadataSchema = z.object({
  inputs: z.array(z.object({ name: z.string(), datatype: z.enum(DATATYPES), shape: z.array(z.int()) })),
});
const replySchema = z.object({
  model_name: z.string(),
  model_version: z.string(),
  outputs: z.array(z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.int()), data: z.array(z.unknown()) })),
});
const requestSchema = z.object({ inputs: z.union([z.record(z.string(), z.unknown()), z.array(z.unknown())]) }).loose();

async function runPredict(model: string, options: PredictOptions): Promise<void> {
  const out = outputOf(options);
  const { LocalApi } = await import('./local-api.js');
  const api = await LocalApi.find(dataOf(options));
  const version = options.modelVersion === undefined ? '' : `/versions/${encodeURIComponent(options.modelVersion)}`;
  const path = `/v2/models/${encodeURIComponent(model)}${version}`;
  const { inputs } = await api.get(path, metadataSchema);
  const request = await buildRequest(inputs, options);
  const began = performance.now();
  const reply = await api.post(`${path}/infer`, request, replySchema);
  if (out.json) printJson(out, reply);
  else show(out, reply, performance.now() - began);
}

async function buildRequest(specs: readonly InputSpec[], options: PredictOptions): Promise<unknown> {
  const given = new Map<string, unknown>();
  if (options.file !== undefined) {
    const request = await readJsonFile(options.file, requestSchema);
    // A request of the Open Inference Protocol is complete as it is.
    if (Array.isArray(request.inputs)) return request;
    for (const [name, value] of Object.entries(request.inputs)) given.set(name, value);
  }
  for (const [name, text] of Object.entries(options.input)) given.set(name, await readValue(name, text));
  const inputs = [...given].map(([name, value]): GivenInput => ({ name, value, shape: options.shape[name] }));
  if (inputs.length === 0)
    throw new SkerryError('CLI_USAGE', `give the inputs with --input or --file; the model takes ${listInputs(specs)}`);
  return { inputs: inputs.map((input) => shapeInput(input, specs)) };
}

function listInputs(specs: readonly InputSpec[]): string {
  return specs.map((spec) => `${spec.name} (${spec.datatype} [${spec.shape.join(', ')}])`).join(', ');
}

async function readValue(name: string, text: string): Promise<unknown> {
  if (text.startsWith('@')) return readJsonFile(text.slice(1), z.unknown());
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SkerryError('CLI_USAGE', `the values of input ${name} are not JSON`, { cause });
  }
}

async function readJsonFile<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  await requireFiles([path]);
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new SkerryError('IO_FAILED', `${path} could not be read`, { cause });
  });
  return parseJson(schema, bytes, { what: path, maxBytes: LIMITS.inferBodyBytes });
}

const SHOWN_VALUES = 16;

function show(out: Output, reply: z.infer<typeof replySchema>, millis: number): void {
  printLine(out, `${paint(out, 'bold', `${reply.model_name}@${reply.model_version}`)} in ${formatDuration(millis)}`);
  for (const { name, datatype, shape, data } of reply.outputs) {
    const values = data.slice(0, SHOWN_VALUES).map((value) => (typeof value === 'number' ? shorten(value) : JSON.stringify(value)));
    const more = data.length > SHOWN_VALUES ? ` ... ${data.length - SHOWN_VALUES} more (--json shows all)` : '';
    printLine(out, `${name}  ${paint(out, 'dim', `${datatype} [${shape.join(', ')}]`)}  ${values.join(' ')}${more}`);
  }
}

function shorten(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
}
