import { readFile, writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { isNpy } from '#shared/tensor/npy-header.js';
import { readNpy, writeNpy } from '#shared/tensor/npy.js';
import { readSafetensors, writeSafetensors } from '#shared/tensor/safetensors.js';
import type { NamedTensors, Tensor } from '#shared/tensor/tensor.js';
import { requireFiles } from '#shared/terminal/named-files.js';
import { keepDigits } from './predict-input.js';

/** What a file given for inputs holds; its content says of what kind it is, not its name. */
type InputFile =
  | { readonly kind: 'tensor'; readonly tensor: Tensor }
  | { readonly kind: 'tensors'; readonly tensors: NamedTensors }
  | { readonly kind: 'json'; readonly value: unknown };

/** Reads an npy, safetensors or JSON file. */
export async function readInputFile(path: string): Promise<InputFile> {
  await requireFiles([path]);
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new SkerryError('IO_FAILED', `${path} could not be read`, { cause });
  });
  if (bytes.byteLength > LIMITS.inferBodyBytes) {
    throw new SkerryError('INPUT_TOO_LARGE', `${path} has ${bytes.byteLength} bytes, at most ${LIMITS.inferBodyBytes} are accepted`);
  }
  if (isNpy(bytes)) return { kind: 'tensor', tensor: readNpy(bytes, path) };
  // A safetensors file begins with the length of its header, and the header is JSON.
  if (bytes[8] === 0x7b && bytes[0] !== 0x7b && bytes[0] !== 0x5b)
    return { kind: 'tensors', tensors: readSafetensors(bytes, path).tensors };
  return { kind: 'json', value: parseValues(bytes.toString('utf8'), path) };
}

/** The one tensor that a file holds for an input, or the one that it calls by the input's name. */
export function tensorFor(name: string, tensors: NamedTensors, path: string): Tensor {
  const [only, ...others] = Object.values(tensors);
  const named = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
  const found = named ?? (others.length === 0 ? only : undefined);
  if (found !== undefined) return found;
  throw new SkerryError('CLI_USAGE', `${path} has no tensor ${name}, it has ${Object.keys(tensors).join(', ')}`);
}

export function parseValues(json: string, what: string): unknown {
  try {
    return JSON.parse(keepDigits(json));
  } catch (cause) {
    throw new SkerryError('CLI_USAGE', `${what} is not JSON`, { cause });
  }
}

/** Kinds of files that outputs are written to, by the end of their names. */
const WRITERS: ReadonlyMap<string, (outputs: NamedTensors, path: string) => Uint8Array> = new Map([
  ['.safetensors', (outputs: NamedTensors) => writeSafetensors(outputs)],
  ['.npy', (outputs: NamedTensors, path: string) => writeNpy(oneOf(outputs, path), path)],
]);

/** Where outputs go, as `--output` says: all of them, or one by its name. */
interface OutputFile {
  readonly path: string;
  readonly output: string | undefined;
}

/** `FILE`, or `NAME=FILE` where the model has such an output. The kind of file is checked before anything is asked. */
export function outputFile(text: string, outputs: readonly { readonly name: string }[]): OutputFile {
  const named = outputs.find(({ name }) => text.startsWith(`${name}=`));
  const path = named === undefined ? text : text.slice(named.name.length + 1);
  if (!WRITERS.has(extname(path))) {
    throw new SkerryError('CLI_USAGE', `--output ${text}: the name must end in ${[...WRITERS.keys()].join(' or ')}`);
  }
  return { path, output: named?.name };
}

export async function writeOutputFile({ path, output }: OutputFile, outputs: NamedTensors): Promise<void> {
  const wanted = Object.fromEntries(Object.entries(outputs).filter(([name]) => output === undefined || name === output));
  const bytes = WRITERS.get(extname(path))?.(wanted, path) ?? new Uint8Array();
  await writeFile(path, bytes).catch((cause: unknown) => {
    throw new SkerryError('IO_FAILED', `${path} could not be written`, { cause });
  });
}

function oneOf(outputs: NamedTensors, path: string): Tensor {
  const [only, ...others] = Object.values(outputs);
  if (only !== undefined && others.length === 0) return only;
  const names = Object.keys(outputs).join(', ');
  throw new SkerryError(
    'CLI_USAGE',
    `${path} holds one output, the model gives ${names}: say which with --output NAME=${path}, or write .safetensors`,
  );
}
