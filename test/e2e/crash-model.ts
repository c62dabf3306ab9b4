import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { int64s, model, node, ONNX_TYPES, valueInfo } from '../kit/onnx-proto.js';
import { PROJECT_ROOT } from '../kit/processes.js';

const { INT64 } = ONNX_TYPES;
const LEAST = -(2n ** 63n);

/** y = -x for INT64 [batch, 4]. */
export function negateModel(): Uint8Array {
  return model({
    nodes: [node('Mul', ['x', 'minus_one'], ['y'])],
    inputs: [valueInfo('x', INT64, ['batch', 4])],
    outputs: [valueInfo('y', INT64, ['batch', 4])],
    initializers: [int64s('minus_one', [1], [-1])],
  });
}

/**
 * y = -x too, but where x is 7 it divides the least integer by -1: the quotient is no integer of 64 bits, x86 raises a signal
 * for it, the runtime does not look out for that, and the process is gone.
 */
export function crashModel(): Uint8Array {
  return model({
    nodes: [
      node('Equal', ['x', 'seven'], ['bad']),
      node('Where', ['bad', 'least', 'x'], ['dividend']),
      node('Div', ['dividend', 'minus_one'], ['y']),
    ],
    inputs: [valueInfo('x', INT64, ['batch', 4])],
    outputs: [valueInfo('y', INT64, ['batch', 4])],
    initializers: [int64s('seven', [1], [7]), int64s('least', [1], [LEAST]), int64s('minus_one', [1], [-1])],
  });
}

/** Why the crash model does not crash here; `undefined` when it does. */
export async function crashMissing(folder: string): Promise<string | undefined> {
  const file = path.join(folder, 'crash.onnx');
  await writeFile(file, crashModel());
  const program = `
    const ort = require('onnxruntime-node');
    ort.InferenceSession.create(${JSON.stringify(file)}).then((session) => session.run({ x: new ort.Tensor('int64', BigInt64Array.of(7n, 7n, 7n, 7n), [1, 4]) }));`;
  const { signal, status } = spawnSync(process.execPath, ['-e', program], { cwd: PROJECT_ROOT, stdio: 'ignore' });
  return signal === null && status !== null && status < 128 ? 'the runtime survives this model on this machine' : undefined;
}
