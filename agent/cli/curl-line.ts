import { elementSize } from '#shared/tensor/datatype.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import { shellQuote } from '#shared/terminal/shell-quote.js';

/** More is not for copying. */
const MOST_ELEMENTS = 32;

interface Served {
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
}

/** A command line that asks a model for a prediction from made-up values: sizes that vary are 1. */
export function curlLine(base: string, { name, inputs }: Served): string {
  const url = `${base}/v2/models/${encodeURIComponent(name)}/infer`;
  const shaped = inputs.map((input) => ({ ...input, shape: input.shape.map((size) => (size === -1 ? 1 : size)) }));
  const large = shaped.some(({ datatype, shape }) => count(shape) > MOST_ELEMENTS && elementSize(datatype) !== undefined);
  return large ? binaryLine(url, shaped) : jsonLine(url, shaped);
}

function jsonLine(url: string, inputs: readonly TensorSpec[]): string {
  const given = inputs.map(({ name, datatype, shape }) => ({
    name,
    datatype,
    shape,
    data: Array.from({ length: count(shape) }, () => sample(datatype)),
  }));
  return `curl -s ${shellQuote(url)} -d ${shellQuote(JSON.stringify({ inputs: given }))}`;
}

/** Zeros as binary data, of which a shell makes as many as are wanted. */
function binaryLine(url: string, inputs: readonly TensorSpec[]): string {
  const sizes = inputs.map(({ datatype, shape }) => count(shape) * (elementSize(datatype) ?? EMPTY_STRING));
  const given = inputs.map(({ name, datatype, shape }, index) => ({
    name,
    datatype,
    shape,
    parameters: { binary_data_size: sizes[index] },
  }));
  const json = JSON.stringify({ inputs: given });
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const body = `{ printf %s ${shellQuote(json)}; head -c ${total} /dev/zero; }`;
  return `${body} | curl -s ${shellQuote(url)} -H 'Inference-Header-Content-Length: ${Buffer.byteLength(json)}' --data-binary @-`;
}

/** Four bytes that say that a string has none. */
const EMPTY_STRING = 4;

function sample(datatype: string): unknown {
  if (datatype === 'BYTES') return 'text';
  return datatype === 'BOOL' ? false : 1;
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
