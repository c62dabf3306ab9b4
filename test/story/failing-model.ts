import { writeFile } from 'node:fs/promises';
import { attribute, floats, int64s, model, node, ONNX_TYPES, valueInfo } from '../kit/onnx-proto.js';

const { FLOAT, INT64 } = ONNX_TYPES;
/** Loudness is multiplied with this and looked up in a table of so many entries: a loud frame points past its end. */
const STEPS = 100;
const TABLE = [0.02, 0.1, 0.2, 0.3, 0.4, 0.5];

/**
 * Writes a model with the inputs and outputs of Silero VAD that is right about silence and fails in the runtime as soon as somebody
 * speaks: a real ONNX file, good enough for golden samples of silence.
 */
export async function writeModelThatFailsOnSpeech(file: string): Promise<void> {
  const bytes = model({
    nodes: [
      node('Abs', ['input'], ['loudness']),
      node('ReduceMax', ['loudness'], ['loudest'], [attribute.int('keepdims', 1)]),
      node('Reshape', ['loudest', 'one_by_one'], ['peak']),
      node('Mul', ['peak', 'steps'], ['scaled']),
      node('Cast', ['scaled'], ['index'], [attribute.int('to', INT64)]),
      node('Gather', ['table', 'index'], ['output']),
      node('Identity', ['state'], ['stateN']),
      node('Identity', ['sr'], ['rate']),
    ],
    inputs: [valueInfo('input', FLOAT, ['batch', 'samples']), valueInfo('state', FLOAT, [2, 'batch', 128]), valueInfo('sr', INT64, [])],
    outputs: [valueInfo('output', FLOAT, ['batch', 1]), valueInfo('stateN', FLOAT, [2, 'batch', 128]), valueInfo('rate', INT64, [])],
    initializers: [floats('steps', [], [STEPS]), floats('table', [TABLE.length], TABLE), int64s('one_by_one', [2], [1, 1])],
  });
  await writeFile(file, bytes);
}
