import { type Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import type { Millis } from '#shared/kernel/time.js';
import { parseDuration } from '#shared/kernel/duration.js';
import type { Prediction } from '#shared/client/client.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { narrow } from '#shared/kernel/json.js';
import { firstElements } from '#shared/tensor/elements.js';
import { checkJson, jsonPieces } from '#shared/tensor/json-write.js';
import { elementCount } from '#shared/tensor/shape.js';
import { namedTensors, type NamedTensors, type Tensor, type TensorSpec } from '#shared/tensor/tensor.js';
import { atOnce } from '#shared/kernel/turns.js';
import { formatDuration } from '#shared/terminal/format.js';
import { type Output, paint, printJson, printLine } from '#shared/terminal/output.js';
import { type CommonOptions, dataOf, outputOf, withData, withJson } from './common.js';
import { parametersSchema, type PredictRequest, protocolRequest } from './predict-request.js';
import { outputFile, parseValues, readInputFile, tensorFor, writeOutputFile } from './predict-files.js';
import { listInputs, tensorAsInput, valuesAsTensor } from './predict-input.js';

interface PredictOptions extends CommonOptions {
  readonly input: readonly string[];
  readonly shape: Readonly<Record<string, string>>;
  readonly file?: string;
  readonly modelVersion?: string;
  readonly output: readonly string[];
  readonly timeout?: Millis;
}

export function addPredict(program: Command): void {
  const command = program
    .command('predict')
    .description('Request one prediction from the running agent.')
    .argument('<model>', 'Name of the model.')
    .option(
      '--input <name=values>',
      'Values of an input as JSON, or @FILE with the values (JSON, npy or safetensors). @FILE without a name is a safetensors file with all inputs. Repeatable.',
      collectInput,
      [],
    )
    .option('--shape <name=sizes>', 'Shape of an input, such as x=1,3. (default: that of the values, or of the model)', addPair, {})
    .option(
      '--file <file>',
      'File with a whole request as JSON: {"inputs": {"name": values}}, or in the form of the Open Inference Protocol.',
    )
    .option('--model-version <number>', 'Version to use. (default: the version in service)')
    .option('--output <[name=]file>', 'Write all outputs to FILE.safetensors, or one output to FILE.npy. Repeatable.', collect, [])
    .option('--timeout <duration>', 'Maximum time for the prediction, such as 90s or 10m. (default: that in --file, else 1m)', timeoutOf)
    .addHelpText(
      'after',
      `
Without inputs, the command prints the names, types and shapes of the inputs that the model takes. A model without inputs runs.
'skerry-agent models' lists the models. Values are JSON (quoted, for the shell). Their nesting is the shape of the tensor; a flat list
takes the shape that the model declares.

Tensors are sent as binary data, so FP16, BF16, NaN, infinities and 64-bit integers stay exact. In JSON, NaN and infinities are
the strings "NaN", "Infinity" and "-Infinity".

Examples:
  skerry-agent predict classifier --input 'x=[[1, 2, 3]]'
  skerry-agent predict classifier --input x=@image.npy --output scores=scores.npy
  skerry-agent predict detector --input @inputs.safetensors --output outputs.safetensors
  skerry-agent predict segmenter --input x=@image.npy --output masks.safetensors --timeout 10m
  skerry-agent predict vad --input input=@frame.json --input 'sr=16000' --input state=@zeros.json --shape state=2,1,128`,
    );
  withJson(withData(command)).action((model: string, options: PredictOptions) => runPredict(model, options));
}

function collect(text: string, texts: readonly string[]): readonly string[] {
  return [...texts, text];
}

function collectInput(text: string, texts: readonly string[]): readonly string[] {
  if (!text.startsWith('@') && text.indexOf('=') < 1) throw new InvalidArgumentError('wants NAME=VALUES, NAME=@FILE or @FILE');
  return collect(text, texts);
}

/** More than a day is a slip, and beyond what a timer takes. */
const LONGEST_TIMEOUT: Millis = 86_400_000;

function timeoutOf(text: string): Millis {
  const timeout = parseDuration(text);
  if (timeout !== undefined && timeout > 0 && timeout <= LONGEST_TIMEOUT) return timeout;
  throw new InvalidArgumentError('wants a duration of at most 24h, such as 90s or 10m');
}

function addPair(text: string, pairs: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const [name, sizes] = split(text);
  if (name === '') throw new InvalidArgumentError('wants NAME=VALUE');
  return { ...pairs, [name]: sizes };
}

function split(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  return [text.slice(0, Math.max(0, at)), text.slice(at + 1)];
}

/** Members are read one by one: z.record drops one called `__proto__`, which a tensor may be. */
const namedSchema = z.custom<Readonly<Record<string, unknown>>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);
const requestSchema = z.looseObject({ inputs: z.union([z.array(z.unknown()), namedSchema]), parameters: z.unknown().optional() });

async function runPredict(model: string, options: PredictOptions): Promise<void> {
  const out = outputOf(options);
  const { LocalApi } = await import('./local-api.js');
  const api = await LocalApi.find(dataOf(options));
  const version = { version: options.modelVersion };
  const { inputs, outputs } = await api.ask((client) => client.metadata(model, version));
  const files = options.output.map((text) => outputFile(text, outputs));
  const request = await buildRequest(inputs, options);
  const timeout = options.timeout ?? request.timeout;
  const began = performance.now();
  const prediction = await api.ask((client) => client.infer(model, request.inputs, { ...request, ...version, timeout }));
  const millis = performance.now() - began;
  for (const file of files) await writeOutputFile(file, namedTensors(prediction.outputs.map((output) => [output.name, output])));
  if (out.json) printJson(out, asJson(prediction));
  else show(out, prediction, millis);
}

async function buildRequest(specs: readonly TensorSpec[], options: PredictOptions): Promise<PredictRequest> {
  const tensors = new Map<string, Tensor>();
  let said: Omit<PredictRequest, 'inputs'> = { parameters: {} };
  if (options.file !== undefined) {
    const request = await readRequest(options.file);
    if (Array.isArray(request.inputs)) return protocolRequest(request, options.file);
    said = narrow(parametersSchema, request.parameters, `"parameters" of ${options.file}`);
    for (const [name, value] of Object.entries(request.inputs)) {
      tensors.set(name, valuesAsTensor({ name, value, shape: shapeSaid(options.shape, name) }, specs));
    }
  }
  for (const text of options.input) {
    for (const [name, tensor] of Object.entries(await readInput(text, options.shape, specs))) tensors.set(name, tensor);
  }
  if (tensors.size > 0 || specs.length === 0) return { ...said, inputs: namedTensors(tensors) };
  throw new SkerryError('CLI_USAGE', `give the inputs with --input or --file; the model takes ${listInputs(specs)}`);
}

async function readRequest(path: string): Promise<z.infer<typeof requestSchema>> {
  const found = await readInputFile(path);
  const request = found.kind === 'json' ? requestSchema.safeParse(found.value) : undefined;
  if (request?.success === true) return request.data;
  throw new SkerryError('CLI_USAGE', `${path} is not a JSON request with "inputs"; give tensors with --input @FILE or --input NAME=@FILE`);
}

/** The shape said for an input; what every object has, such as `constructor`, is none. */
function shapeSaid(shapes: PredictOptions['shape'], name: string): string | undefined {
  return Object.hasOwn(shapes, name) ? shapes[name] : undefined;
}

/** What one `--input` gives: the tensors of a file by their names, or one input. */
async function readInput(text: string, shapes: PredictOptions['shape'], specs: readonly TensorSpec[]): Promise<NamedTensors> {
  if (text.startsWith('@')) {
    const path = text.slice(1);
    const found = await readInputFile(path);
    if (found.kind !== 'tensors')
      throw new SkerryError('CLI_USAGE', `${path} is not a safetensors file; name the input: --input NAME=@${path}`);
    const named = Object.entries(found.tensors).map(
      ([name, tensor]) => [name, tensorAsInput(name, tensor, shapeSaid(shapes, name), specs)] as const,
    );
    return Object.fromEntries(named);
  }
  const [name, values] = split(text);
  const shape = shapeSaid(shapes, name);
  if (!values.startsWith('@')) {
    return { [name]: valuesAsTensor({ name, value: parseValues(values, `the text of input ${name}`), shape }, specs) };
  }
  const path = values.slice(1);
  const found = await readInputFile(path);
  if (found.kind === 'json') return { [name]: valuesAsTensor({ name, value: found.value, shape }, specs) };
  const tensor = found.kind === 'tensor' ? found.tensor : tensorFor(name, found.tensors, path);
  return { [name]: tensorAsInput(name, tensor, shape, specs) };
}

/** The answer as the protocol has it in JSON, with FP16 and BF16 as numbers too. */
function asJson({ model, version, outputs }: Prediction): unknown {
  const described = outputs.map((output) => {
    const { name, datatype, shape } = output;
    return { name, datatype, shape, data: valuesOf(name, output) };
  });
  return { model_name: model, model_version: version, outputs: described };
}

function valuesOf(name: string, tensor: Tensor): readonly unknown[] {
  atOnce(checkJson(tensor, `output ${JSON.stringify(name)}`));
  return z.array(z.unknown()).parse(JSON.parse([...jsonPieces(tensor, 'strings')].join('')));
}

const SHOWN_VALUES = 16;

function show(out: Output, { model, version, outputs }: Prediction, millis: number): void {
  printLine(out, `${paint(out, 'bold', `${model}@${version}`)} in ${formatDuration(millis)}`);
  for (const tensor of outputs) {
    const { name } = tensor;
    const values = valuesOf(name, firstElements(tensor, SHOWN_VALUES)).map((value) => textOf(tensor, value));
    const rest = elementCount(tensor.shape, name) - values.length;
    const more = rest > 0 ? ` ... ${rest} more (--json shows all)` : '';
    printLine(out, `${name}  ${paint(out, 'dim', `${tensor.datatype} [${tensor.shape.join(', ')}]`)}  ${values.join(' ')}${more}`);
  }
}

/** Only strings of the model's are quoted: numbers may be strings because JSON has no other form for them. */
function textOf({ datatype }: Tensor, value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
  return datatype === 'BYTES' ? JSON.stringify(value) : String(value);
}
