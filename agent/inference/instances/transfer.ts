import { namedTensors, type NamedTensors, type Tensor } from '#shared/tensor/tensor.js';

/** Below this a copy is cheaper than moving a buffer, and Node's shared pool of small buffers must never move. */
const MOVE_FROM_BYTES = 64 * 1024;

/**
 * Tensors in a form that can be posted to another thread, and the buffers to move with them. Buffers that are `owned` and
 * worth it are moved; everything else is copied into a buffer of its exact size, so that no caller's memory is taken away
 * and no more than the tensor is sent.
 */
export function forPosting(
  tensors: NamedTensors,
  owned: boolean,
): { readonly tensors: NamedTensors; readonly move: readonly ArrayBuffer[] } {
  const move = new Set<ArrayBuffer>();
  const posted: (readonly [string, Tensor])[] = [];
  for (const [name, tensor] of Object.entries(tensors)) {
    const { buffer, byteLength } = tensor.data;
    if (owned && buffer instanceof ArrayBuffer && byteLength >= MOVE_FROM_BYTES) {
      move.add(buffer);
      posted.push([name, tensor]);
    } else {
      const data = new Uint8Array(byteLength);
      data.set(tensor.data);
      move.add(data.buffer);
      posted.push([name, { datatype: tensor.datatype, shape: tensor.shape, data }]);
    }
  }
  return { tensors: namedTensors(posted), move: [...move] };
}

/** The buffers under tensors that nobody else holds, each once. */
export function buffersOf(tensors: NamedTensors): readonly ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of Object.values(tensors)) if (data.buffer instanceof ArrayBuffer) buffers.add(data.buffer);
  return [...buffers];
}
