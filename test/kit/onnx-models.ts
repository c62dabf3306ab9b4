import { createCipheriv } from 'node:crypto';
import { open } from 'node:fs/promises';
import {
  attribute,
  floats,
  graph,
  int64s,
  model,
  modelHead,
  node,
  ONNX_TYPES,
  type OnnxType,
  tensorHead,
  tensorType,
  typeOf,
  valueInfo,
  valueOfType,
} from './onnx-proto.js';
import { bytesField, bytesFieldHeader, concat, intField } from '#shared/onnx/protobuf-writer.js';

// Small real ONNX models, as file bytes. All take `x` and give `y`, FP32 [-1, width] unless said otherwise.

const FLOAT = ONNX_TYPES.FLOAT;
const MiB = 1024 * 1024;

/** y = x */
export function identityModel({ width = 4 }: { width?: number } = {}): Uint8Array {
  return model({
    nodes: [node('Identity', ['x'], ['y'])],
    inputs: [valueInfo('x', FLOAT, ['batch', width])],
    outputs: [valueInfo('y', FLOAT, ['batch', width])],
  });
}

/** y = x * scale + bias. Another scale or bias makes a model of the same signature that is wrong for the first one's golden samples. */
export function affineModel({ scale = 2, bias = 1, width = 4 }: { scale?: number; bias?: number; width?: number } = {}): Uint8Array {
  return model({
    nodes: [node('Mul', ['x', 'scale'], ['scaled']), node('Add', ['scaled', 'bias'], ['y'])],
    inputs: [valueInfo('x', FLOAT, ['batch', width])],
    outputs: [valueInfo('y', FLOAT, ['batch', width])],
    initializers: [floats('scale', [], [scale]), floats('bias', [], [bias])],
  });
}

/** Right for most inputs, not a number where x > 1: y = sqrt(1 - x). */
export function partlyWrongModel({ width = 4 }: { width?: number } = {}): Uint8Array {
  return model({
    nodes: [node('Sub', ['one', 'x'], ['rest']), node('Sqrt', ['rest'], ['y'])],
    inputs: [valueInfo('x', FLOAT, ['batch', width])],
    outputs: [valueInfo('y', FLOAT, ['batch', width])],
    initializers: [floats('one', [], [1])],
  });
}

/** y = 1 where x is below 1 for every element; an element of 1 and more fails in the runtime. */
export function failsAboveModel({ width = 4 }: { width?: number } = {}): Uint8Array {
  return model({
    nodes: [node('Cast', ['x'], ['index'], [attribute.int('to', ONNX_TYPES.INT64)]), node('Gather', ['table', 'index'], ['y'])],
    inputs: [valueInfo('x', FLOAT, ['batch', width])],
    outputs: [valueInfo('y', FLOAT, ['batch', width])],
    initializers: [floats('table', [1], [1])],
  });
}

/** Takes `index` INT64 [-1] and gives `y` FP32 [-1]: element `index` of a table. An index outside the table fails in the runtime. */
export function tableModel({ table = [10, 20, 30, 40] }: { table?: readonly number[] } = {}): Uint8Array {
  return model({
    nodes: [node('Gather', ['table', 'index'], ['y'])],
    inputs: [valueInfo('index', ONNX_TYPES.INT64, ['n'])],
    outputs: [valueInfo('y', FLOAT, ['n'])],
    initializers: [floats('table', [table.length], table)],
  });
}

/** found = the values of `x` above 0, FP32 [found, 1]: as many rows as there are such values, as detections have. */
export function detectionModel({ width = 4 }: { width?: number } = {}): Uint8Array {
  return model({
    nodes: [
      node('Reshape', ['x', 'flat'], ['values']),
      node('Greater', ['values', 'zero'], ['above']),
      node('Compress', ['values', 'above'], ['found'], [attribute.int('axis', 0)]),
    ],
    inputs: [valueInfo('x', FLOAT, ['batch', width])],
    outputs: [valueInfo('found', FLOAT, ['detections', 1])],
    initializers: [int64s('flat', [2], [-1, 1]), floats('zero', [], [0])],
  });
}

/** As `detectionModel`, of whole numbers. */
export function countsModel({ width = 4 }: { width?: number } = {}): Uint8Array {
  return model({
    nodes: [
      node('Reshape', ['x', 'flat'], ['values']),
      node('Greater', ['values', 'zero'], ['above']),
      node('Compress', ['values', 'above'], ['found'], [attribute.int('axis', 0)]),
    ],
    inputs: [valueInfo('x', ONNX_TYPES.INT64, ['batch', width])],
    outputs: [valueInfo('found', ONNX_TYPES.INT64, ['found', 1])],
    initializers: [int64s('flat', [2], [-1, 1]), int64s('zero', [], [0])],
  });
}

/** y = as many zeros as `repeats` says in all, as a length regulator gives; `index` is looked up in a table of four. */
export function repeatsModel(): Uint8Array {
  return model({
    nodes: [
      node('ReduceSum', ['repeats'], ['total']),
      node('Gather', ['table', 'index'], ['looked']),
      node('ReduceMax', ['looked'], ['largest'], [attribute.int('keepdims', 0)]),
      node('ConstantOfShape', ['total'], ['zeros']),
      node('Add', ['zeros', 'largest'], ['sum']),
      node('Mul', ['sum', 'nothing'], ['y']),
    ],
    inputs: [valueInfo('repeats', ONNX_TYPES.INT64, ['batch']), valueInfo('index', ONNX_TYPES.INT64, ['batch'])],
    outputs: [valueInfo('y', FLOAT, ['frames'])],
    initializers: [floats('table', [4], [1, 2, 3, 4]), floats('nothing', [], [0])],
  });
}

/** y = as many zeros as the numbers in `text` say in all. */
export function spelledModel(): Uint8Array {
  return model({
    nodes: [
      node('Cast', ['text'], ['repeats'], [attribute.int('to', ONNX_TYPES.INT64)]),
      node('ReduceSum', ['repeats'], ['total']),
      node('ConstantOfShape', ['total'], ['y']),
    ],
    inputs: [valueInfo('text', ONNX_TYPES.STRING, ['n'])],
    outputs: [valueInfo('y', FLOAT, ['rows'])],
  });
}

/** kept = the flags that are true: as many rows as there are. */
export function flagsModel(): Uint8Array {
  return model({
    nodes: [node('Compress', ['x', 'x'], ['kept'], [attribute.int('axis', 0)])],
    inputs: [valueInfo('x', ONNX_TYPES.BOOL, ['n'])],
    outputs: [valueInfo('kept', ONNX_TYPES.BOOL, ['kept'])],
  });
}

/** y = x twice, one below the other: two rows for each input row. */
export function doubleRowsModel({ width = 4 }: { width?: number } = {}): Uint8Array {
  return model({
    nodes: [node('Concat', ['x', 'x'], ['y'], [attribute.int('axis', 0)])],
    inputs: [valueInfo('x', FLOAT, ['batch', width])],
    outputs: [valueInfo('y', FLOAT, ['rows', width])],
  });
}

/** Models whose rows influence one another though each has its own, by how: y is x normalized over the batch, or sorted along it. */
export function mixingModel(how: 'softmax' | 'sort' | 'mean', { width = 4 }: { width?: number } = {}): Uint8Array {
  const axis = [attribute.int('axis', 0)];
  const nodes = {
    softmax: [node('Softmax', ['x'], ['y'], axis)],
    sort: [
      node('Shape', ['x'], ['shape']),
      node('Slice', ['shape', 'from', 'to'], ['rows']),
      node('TopK', ['x', 'rows'], ['y', 'places'], axis),
    ],
    mean: [node('ReduceMean', ['x'], ['mean']), node('Sub', ['x', 'mean'], ['y'])],
  };
  return model({
    nodes: nodes[how],
    inputs: [valueInfo('x', FLOAT, ['batch', width])],
    outputs: [valueInfo('y', FLOAT, ['batch', width])],
    initializers: [int64s('from', [1], [0]), int64s('to', [1], [1])],
  });
}

/** y = x repeated to `shape`: a small request, an answer of any size. */
export function expandModel(): Uint8Array {
  return model({
    nodes: [node('Expand', ['x', 'shape'], ['y'])],
    inputs: [valueInfo('x', FLOAT, [1]), valueInfo('shape', ONNX_TYPES.INT64, [2])],
    outputs: [valueInfo('y', FLOAT, ['rows', 'columns'])],
  });
}

/** y = x and logs = log(x), both [n] of one floating-point type: the logarithm of 0 is -Infinity, that of a negative number NaN. */
export function logModel({ type = FLOAT }: { type?: OnnxType } = {}): Uint8Array {
  return model({
    nodes: [node('Identity', ['x'], ['y']), node('Log', ['x'], ['logs'])],
    inputs: [valueInfo('x', type, ['n'])],
    outputs: [valueInfo('y', type, ['n']), valueInfo('logs', type, ['n'])],
  });
}

/** answer = text, both strings [n]. */
export function textModel({ answer = 'answer' }: { answer?: string } = {}): Uint8Array {
  return model({
    nodes: [node('Identity', ['text'], [answer])],
    inputs: [valueInfo('text', ONNX_TYPES.STRING, ['n'])],
    outputs: [valueInfo(answer, ONNX_TYPES.STRING, ['n'])],
  });
}

/** answer = the label number `index`, INT64 [n] in and strings [n] out; labels are bytes of any encoding. */
export function labelModel({ labels }: { labels: readonly Uint8Array[] }): Uint8Array {
  const table = concat(tensorHead('labels', ONNX_TYPES.STRING, [labels.length]), ...labels.map((label) => bytesField(6, label)));
  return model({
    nodes: [node('Gather', ['labels', 'index'], ['answer'])],
    inputs: [valueInfo('index', ONNX_TYPES.INT64, ['n'])],
    outputs: [valueInfo('answer', ONNX_TYPES.STRING, ['n'])],
    initializers: [table],
  });
}

/** token = x + offset, both INT64 [n]: another offset gives other ids, near or far. */
export function tokenModel({ offset = 30_000 }: { offset?: number | bigint } = {}): Uint8Array {
  return model({
    nodes: [node('Add', ['x', 'offset'], ['token'])],
    inputs: [valueInfo('x', ONNX_TYPES.INT64, ['n'])],
    outputs: [valueInfo('token', ONNX_TYPES.INT64, ['n'])],
    initializers: [int64s('offset', [], [offset])],
  });
}

/** y = ids + mask, INT64 [batch, seq] each; `mask` has the sizes' names of `ids` unless told otherwise. */
export function maskModel({ names = ['batch', 'seq'] }: { names?: readonly [string, string] } = {}): Uint8Array {
  return model({
    nodes: [node('Add', ['ids', 'mask'], ['y'])],
    inputs: [valueInfo('ids', ONNX_TYPES.INT64, ['batch', 'seq']), valueInfo('mask', ONNX_TYPES.INT64, [...names])],
    outputs: [valueInfo('y', ONNX_TYPES.INT64, ['batch', 'seq'])],
  });
}

/** y = the number that each text is, FP32 [n]; text that is no number fails in the runtime. */
export function parseModel(): Uint8Array {
  return model({
    nodes: [node('Cast', ['text'], ['y'], [attribute.int('to', FLOAT)])],
    inputs: [valueInfo('text', ONNX_TYPES.STRING, ['n'])],
    outputs: [valueInfo('y', FLOAT, ['n'])],
  });
}

/** y = x made larger by `scales`, FP32 [4]; a scale of 0 or less fails in the runtime. */
export function resizeModel(): Uint8Array {
  return model({
    nodes: [node('Resize', ['x', '', 'scales'], ['y'])],
    inputs: [valueInfo('x', FLOAT, [1, 1, 'height', 'width']), valueInfo('scales', FLOAT, [4])],
    outputs: [valueInfo('y', FLOAT, [1, 1, 'high', 'wide'])],
  });
}

/** y = one row for each index, with a 1 at that place of `depth` places; a depth below 1 fails in the runtime. */
export function oneHotModel(): Uint8Array {
  return model({
    nodes: [node('OneHot', ['index', 'depth', 'values'], ['y'])],
    inputs: [valueInfo('index', ONNX_TYPES.INT64, ['n']), valueInfo('depth', ONNX_TYPES.INT64, [1])],
    outputs: [valueInfo('y', FLOAT, ['n', 'depth'])],
    initializers: [floats('values', [2], [0, 1])],
  });
}

/** y = as many zeros as `count` says, FP32; a great many need more memory than there is. */
export function zerosModel(): Uint8Array {
  return model({
    nodes: [node('ConstantOfShape', ['count'], ['y'])],
    inputs: [valueInfo('count', ONNX_TYPES.INT64, [2])],
    outputs: [valueInfo('y', FLOAT, ['high', 'wide'])],
  });
}

/** y = x in one row, though any number of rows is declared: a batch fixed by the export. */
export function oneRowModel({ width = 4 }: { width?: number } = {}): Uint8Array {
  return model({
    nodes: [node('Reshape', ['x', 'one'], ['y'])],
    inputs: [valueInfo('x', FLOAT, ['batch', width])],
    outputs: [valueInfo('y', FLOAT, ['batch', width])],
    initializers: [int64s('one', [2], [1, width])],
  });
}

/** y = the sum of each row of four, FP32 [batch, 1]; the width is declared free, and only four goes. */
export function freeWidthModel(): Uint8Array {
  return model({
    nodes: [node('MatMul', ['x', 'ones'], ['y'])],
    inputs: [valueInfo('x', FLOAT, ['batch', 'width'])],
    outputs: [valueInfo('y', FLOAT, ['batch', 1])],
    initializers: [floats('ones', [4, 1], [1, 1, 1, 1])],
  });
}

/** y = x, after `layers` multiplications with a `width` x `width` identity matrix: about 2 * width^2 * layers operations a row. */
export function slowModel({ width = 256, layers = 50 }: { width?: number; layers?: number } = {}): Uint8Array {
  const matrix = new Float32Array(width * width);
  for (let at = 0; at < width; at++) matrix[at * width + at] = 1;
  const nodes = Array.from({ length: layers }, (_, layer) =>
    node('MatMul', [layer === 0 ? 'x' : `h${layer}`, 'matrix'], [layer === layers - 1 ? 'y' : `h${layer + 1}`]),
  );
  return model({
    nodes,
    inputs: [valueInfo('x', FLOAT, ['batch', width])],
    outputs: [valueInfo('y', FLOAT, ['batch', width])],
    initializers: [floats('matrix', [width, width], matrix)],
  });
}

/** y = x, after an ONNX Loop of `iterations` tiny steps: takes as long as one likes (2^62 never ends) and no memory. */
export function loopModel({ iterations, width = 4 }: { iterations: number | bigint; width?: number }): Uint8Array {
  return model({
    nodes: [node('Loop', ['iterations', '', 'x'], ['y'], [attribute.graph('body', loopBody(width))])],
    inputs: [valueInfo('x', FLOAT, ['batch', width])],
    outputs: [valueInfo('y', FLOAT, ['batch', width])],
    initializers: [int64s('iterations', [], [iterations])],
  });
}

/** One tiny step of a Loop. */
function loopBody(width: number): Uint8Array {
  return graph({
    nodes: [node('Identity', ['go'], ['go_on']), node('Add', ['h', 'zero'], ['h_next'])],
    inputs: [valueInfo('i', ONNX_TYPES.INT64, []), valueInfo('go', ONNX_TYPES.BOOL, []), valueInfo('h', FLOAT, ['batch', width])],
    outputs: [valueInfo('go_on', ONNX_TYPES.BOOL, []), valueInfo('h_next', FLOAT, ['batch', width])],
    initializers: [floats('zero', [], [0])],
  });
}

/** y = x, after as many tiny steps as the input `turns` (INT64 scalar) says: each request takes as long as it likes. */
export function turnsModel({ width = 4 }: { width?: number } = {}): Uint8Array {
  return model({
    nodes: [node('Loop', ['turns', '', 'x'], ['y'], [attribute.graph('body', loopBody(width))])],
    inputs: [valueInfo('turns', ONNX_TYPES.INT64, []), valueInfo('x', FLOAT, ['batch', width])],
    outputs: [valueInfo('y', FLOAT, ['batch', width])],
  });
}

/** y = x * scale + noise: gives other numbers at every run of a session, so no golden sample can hold. */
export function randomModel({ width = 4 }: { width?: number } = {}): Uint8Array {
  return model({
    nodes: [node('RandomUniformLike', ['x'], ['noise']), node('Add', ['x', 'noise'], ['y'])],
    inputs: [valueInfo('x', FLOAT, ['batch', width])],
    outputs: [valueInfo('y', FLOAT, ['batch', width])],
  });
}

/** A model whose weights lie in another file (TensorProto.data_location = EXTERNAL), which a version cannot carry. */
export function externalDataModel(): Uint8Array {
  const entry = (key: string, value: string): Uint8Array => bytesField(13, concat(bytesField(1, key), bytesField(2, value)));
  const weights = concat(tensorHead('scale', FLOAT, [1]), entry('location', 'weights.bin'), entry('length', '4'), intField(14, 1));
  return model({
    nodes: [node('Mul', ['x', 'scale'], ['y'])],
    inputs: [valueInfo('x', FLOAT, ['batch', 4])],
    outputs: [valueInfo('y', FLOAT, ['batch', 4])],
    initializers: [weights],
  });
}

export interface InflatedOptions {
  /** Size of the unused weight; at most 2047, since protobuf ends at 2 GiB. */
  readonly megabytes: number;
  /** Chooses the weight's bytes, which do not compress. */
  readonly seed?: number;
  readonly scale?: number;
}

/** y = x * scale, in a file that a weight of random bytes makes as large as one likes. */
export function inflatedModel(options: InflatedOptions): Uint8Array {
  const stream = randomBytesStream(options.seed ?? 1);
  return concat(inflatedHead(options), ...Array.from({ length: options.megabytes }, () => stream(MiB)));
}

/** As `inflatedModel`, written to a file without holding it in memory. */
export async function writeInflatedModel(path: string, options: InflatedOptions): Promise<void> {
  const stream = randomBytesStream(options.seed ?? 1);
  const file = await open(path, 'w');
  try {
    await file.write(inflatedHead(options));
    for (let written = 0; written < options.megabytes; written++) await file.write(stream(MiB));
  } finally {
    await file.close();
  }
}

/** Everything up to the weight's bytes, which end the file: raw_data last in its tensor, that last in the graph, that last in the model. */
function inflatedHead({ megabytes, scale = 2 }: InflatedOptions): Uint8Array {
  const length = megabytes * MiB;
  const weightHead = concat(tensorHead('weight', ONNX_TYPES.UINT8, [length]), bytesFieldHeader(9, length));
  const rest = graph({
    // The weight is used, times zero, so that the runtime does not warn about it.
    nodes: [
      node('Gather', ['weight', 'first'], ['byte']),
      node('Cast', ['byte'], ['float'], [attribute.int('to', FLOAT)]),
      node('Mul', ['float', 'zero'], ['nothing']),
      node('Mul', ['x', 'scale'], ['scaled']),
      node('Add', ['scaled', 'nothing'], ['y']),
    ],
    inputs: [valueInfo('x', FLOAT, ['batch', 4])],
    outputs: [valueInfo('y', FLOAT, ['batch', 4])],
    initializers: [int64s('first', [1], [0]), floats('zero', [], [0]), floats('scale', [], [scale])],
  });
  const graphHead = concat(rest, bytesFieldHeader(5, weightHead.byteLength + length), weightHead);
  return concat(modelHead(), bytesFieldHeader(7, graphHead.byteLength + length), graphHead);
}

/** Repeatable random bytes: an AES-CTR key stream. */
function randomBytesStream(seed: number): (length: number) => Uint8Array {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  return (length) => cipher.update(Buffer.alloc(length));
}

/** y = -x for each name; outputs are called as `outputOf` says. */
export function namedModel(names: readonly string[], outputOf = (name: string): string => `out ${name}`): Uint8Array {
  return model({
    nodes: names.map((name) => node('Neg', [name], [outputOf(name)])),
    inputs: names.map((name) => valueInfo(name, FLOAT, [2])),
    outputs: names.map((name) => valueInfo(outputOf(name), FLOAT, [2])),
  });
}

/** A linear classifier as skl2onnx writes it: `label` INT64 [-1], and `probabilities`, a sequence of maps, or a tensor without ZipMap. */
export function classifierModel({ zipMap = true }: { zipMap?: boolean } = {}): Uint8Array {
  const scores = zipMap ? 'scores' : 'probabilities';
  const classifier = node(
    'LinearClassifier',
    ['x'],
    ['label', scores],
    [
      attribute.floats('coefficients', [1, 0, 0, 1, -1, -1]),
      attribute.floats('intercepts', [0, 0, 0.5]),
      attribute.ints('classlabels_ints', [0, 1, 2]),
      attribute.string('post_transform', 'SOFTMAX'),
    ],
    'ai.onnx.ml',
  );
  const zip = node('ZipMap', ['scores'], ['probabilities'], [attribute.ints('classlabels_int64s', [0, 1, 2])], 'ai.onnx.ml');
  const maps = typeOf.sequence(typeOf.map(ONNX_TYPES.INT64, tensorType(FLOAT, [])));
  return model(
    {
      nodes: zipMap ? [classifier, zip] : [classifier],
      inputs: [valueInfo('x', FLOAT, ['n', 2])],
      outputs: [
        valueInfo('label', ONNX_TYPES.INT64, ['n']),
        zipMap ? valueOfType('probabilities', maps) : valueInfo('probabilities', FLOAT, ['n', 3]),
      ],
    },
    { opsets: { '': 15, 'ai.onnx.ml': 1 } },
  );
}

/** Every element type that has a name in the Open Inference Protocol, by that name. */
export const ELEMENT_TYPES = {
  BOOL: ONNX_TYPES.BOOL,
  UINT8: ONNX_TYPES.UINT8,
  UINT16: ONNX_TYPES.UINT16,
  UINT32: ONNX_TYPES.UINT32,
  UINT64: ONNX_TYPES.UINT64,
  INT8: ONNX_TYPES.INT8,
  INT16: ONNX_TYPES.INT16,
  INT32: ONNX_TYPES.INT32,
  INT64: ONNX_TYPES.INT64,
  FP16: ONNX_TYPES.FLOAT16,
  FP32: ONNX_TYPES.FLOAT,
  FP64: ONNX_TYPES.DOUBLE,
  BF16: ONNX_TYPES.BFLOAT16,
  BYTES: ONNX_TYPES.STRING,
} as const;

/** For each element type an input of its name, given back as `out NAME`. */
export function everyTypeModel(shape: (name: string) => readonly (number | string)[]): Uint8Array {
  const types = Object.entries(ELEMENT_TYPES);
  return model({
    nodes: types.map(([name]) => node('Identity', [name], [`out ${name}`])),
    inputs: types.map(([name, type]) => valueInfo(name, type, shape(name))),
    outputs: types.map(([name, type]) => valueInfo(`out ${name}`, type, shape(name))),
  });
}

/** As `classifierModel`, where a function of the model's own makes the maps: nothing says which scores they are made of. */
export function wrappedMapsModel(): Uint8Array {
  const zip = node('ZipMap', ['s'], ['maps'], [attribute.ints('classlabels_int64s', [0, 1])], 'ai.onnx.ml');
  const imported = bytesField(9, concat(bytesField(1, 'ai.onnx.ml'), intField(2, 1)));
  const wrapped = concat(
    bytesField(1, 'Wrap'),
    bytesField(4, 's'),
    bytesField(5, 'maps'),
    bytesField(7, zip),
    imported,
    bytesField(10, 'own'),
  );
  const maps = typeOf.sequence(typeOf.map(ONNX_TYPES.INT64, tensorType(FLOAT, [])));
  const parts = {
    nodes: [node('Neg', ['x'], ['scores']), node('Wrap', ['x'], ['maps'], [], 'own')],
    inputs: [valueInfo('x', FLOAT, ['n', 2])],
    outputs: [valueInfo('scores', FLOAT, ['n', 2]), valueOfType('maps', maps)],
  };
  return concat(model(parts, { opsets: { '': 15, 'ai.onnx.ml': 1, own: 1 } }), bytesField(25, wrapped));
}

/** `label` as above of a model that imports only the operators of ai.onnx.ml. */
export function scalerModel(): Uint8Array {
  const scaler = node('Scaler', ['x'], ['y'], [attribute.floats('offset', [1, 1]), attribute.floats('scale', [2, 2])], 'ai.onnx.ml');
  return model(
    { nodes: [scaler], inputs: [valueInfo('x', FLOAT, ['n', 2])], outputs: [valueInfo('y', FLOAT, ['n', 2])] },
    { opsets: { 'ai.onnx.ml': 1 } },
  );
}

/** y = reshape(x, shape): of any number of dimensions, which it does not declare. */
export function reshapeModel({ declared }: { declared?: readonly (number | string)[] } = {}): Uint8Array {
  return model({
    nodes: [node('Reshape', ['x', 'shape'], ['y'])],
    inputs: [valueInfo('x', FLOAT, ['n']), valueInfo('shape', ONNX_TYPES.INT64, ['r'])],
    outputs: [valueOfType('y', tensorType(FLOAT, declared))],
  });
}

/** y = -x, where neither says anything of its shape. */
export function shapelessModel(): Uint8Array {
  return model({
    nodes: [node('Neg', ['x'], ['y'])],
    inputs: [valueOfType('x', tensorType(FLOAT))],
    outputs: [valueOfType('y', tensorType(FLOAT))],
  });
}

/** y = [1, 2], from no inputs. */
export function constantModel(): Uint8Array {
  const value = attribute.tensor('value', floats('value', [2], [1, 2]));
  return model({ nodes: [node('Constant', [], ['y'], [value])], inputs: [], outputs: [valueInfo('y', FLOAT, [2])] });
}

/** y = x, FP32 [-1, 4], where the model declares [batch, 3, 7]; computed so that the runtime cannot tell before it runs. */
export function misdeclaredModel({ batch = 'batch' }: { batch?: number | string } = {}): Uint8Array {
  return model({
    nodes: [
      node('Shape', ['x'], ['sizes']),
      node('Cast', ['sizes'], ['floats'], [attribute.int('to', FLOAT)]),
      node('Cast', ['floats'], ['shape'], [attribute.int('to', ONNX_TYPES.INT64)]),
      node('Reshape', ['x', 'shape'], ['y']),
    ],
    inputs: [valueInfo('x', FLOAT, ['batch', 4])],
    outputs: [valueInfo('y', FLOAT, [batch, 3, 7])],
  });
}

/** sum = a + b and difference = a - b, FP32 [batch, 4] each. */
export function addSubModel(): Uint8Array {
  const matrix = (name: string): Uint8Array => valueInfo(name, FLOAT, ['batch', 4]);
  return model({
    nodes: [node('Add', ['a', 'b'], ['sum']), node('Sub', ['a', 'b'], ['difference'])],
    inputs: [matrix('a'), matrix('b')],
    outputs: [matrix('sum'), matrix('difference')],
  });
}

/** Every input [n, 1] comes back, one for each kind of column of a table: `real` FP32, `whole` INT64, `flag` BOOL and `word` STRING. */
export function columnsModel(): Uint8Array {
  const columns = { real: FLOAT, whole: ONNX_TYPES.INT64, flag: ONNX_TYPES.BOOL, word: ONNX_TYPES.STRING };
  const entries = Object.entries(columns);
  return model({
    nodes: entries.map(([name]) => node('Identity', [name], [`${name} out`])),
    inputs: entries.map(([name, type]) => valueInfo(name, type, ['n', 1])),
    outputs: entries.map(([name, type]) => valueInfo(`${name} out`, type, ['n', 1])),
  });
}
