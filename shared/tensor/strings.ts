import { isUtf8 } from 'node:buffer';
import { SkerryError } from '#shared/kernel/errors.js';
import { nextBytesElement } from './bytes-elements.js';
import type { NamedTensors, Tensor } from './tensor.js';

const BYTES_AT_ONCE = 64 * 1024;
const ELEMENTS_AT_ONCE = 1_000;

/**
 * Checks that the runtime can carry the strings of a BYTES tensor as they are. Its binding ends a string at a NUL and replaces what
 * is not UTF-8, so that the model would see other strings than were sent: `TENSOR_STRING`. Other tensors pass. It can be
 * interrupted wherever it yields.
 */
export function* checkStrings({ datatype, data }: Tensor, what: string): Generator<void, void> {
  if (datatype !== 'BYTES') return;
  let mark = BYTES_AT_ONCE;
  let element = nextBytesElement(data, 0);
  for (let at = 0; element !== undefined; at++) {
    const { bytes, end } = element;
    const nul = bytes.indexOf(0);
    if (nul >= 0) throw refused(what, at, `has a NUL character at byte ${nul}`);
    if (!isUtf8(bytes)) throw refused(what, at, 'is not UTF-8');
    if (end >= mark || at % ELEMENTS_AT_ONCE === 0) {
      mark = end + BYTES_AT_ONCE;
      yield;
    }
    element = nextBytesElement(data, end);
  }
}

function refused(what: string, at: number, why: string): SkerryError {
  return new SkerryError('TENSOR_STRING', `${what}: string element ${at} ${why}, and the runtime would alter it`);
}

/** U+FFFD, which stands where bytes were no UTF-8. */
const REPLACEMENT = Buffer.from('\ufffd');

/**
 * Refuses string outputs that the runtime's binding altered: a model may hold labels in another encoding, and each byte that is not
 * UTF-8 comes back as U+FFFD. Where an input holds that character itself, it is the caller's; in outputs where golden samples `show`
 * it, it is what the publisher says the model gives. Throws `TENSOR_STRING_OUTPUT`.
 */
export function checkStringOutputs(inputs: NamedTensors, outputs: NamedTensors, shown: ReadonlySet<string>): void {
  const altered = Object.entries(outputs).find(([name, tensor]) => !shown.has(name) && holdsReplacement(tensor));
  if (altered === undefined || Object.values(inputs).some(holdsReplacement)) return;
  throw new SkerryError(
    'TENSOR_STRING_OUTPUT',
    `output ${JSON.stringify(altered[0])} holds bytes that are not UTF-8, and the runtime replaced them by U+FFFD`,
  );
}

/** Names of the tensors that hold U+FFFD. */
export function replacedIn(sets: readonly NamedTensors[]): readonly string[] {
  return [
    ...new Set(sets.flatMap((tensors) => Object.entries(tensors).flatMap(([name, tensor]) => (holdsReplacement(tensor) ? [name] : [])))),
  ];
}

function holdsReplacement({ datatype, data }: Tensor): boolean {
  return datatype === 'BYTES' && Buffer.from(data.buffer, data.byteOffset, data.byteLength).includes(REPLACEMENT);
}
