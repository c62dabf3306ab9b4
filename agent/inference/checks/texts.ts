import { atOnce, inTurns } from '#shared/kernel/turns.js';
import { checkStrings } from '#shared/tensor/strings.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';

/** Strings up to which they are checked in one go. */
const AT_ONCE_BYTES = 64 * 1024;

export function hasTexts(inputs: NamedTensors): boolean {
  return Object.values(inputs).some(({ datatype }) => datatype === 'BYTES');
}

/**
 * Checks the strings of a request before it may share a batch with others, so that it alone is refused. Throws `TENSOR_STRING`.
 */
export async function checkTexts(inputs: NamedTensors): Promise<void> {
  for (const [name, tensor] of Object.entries(inputs)) {
    const work = checkStrings(tensor, `input ${JSON.stringify(name)}`);
    if (tensor.data.byteLength > AT_ONCE_BYTES) await inTurns(work);
    else atOnce(work);
  }
}
