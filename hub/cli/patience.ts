import { hasCode } from '#shared/kernel/errors.js';
import { type Output, printNote } from '#shared/terminal/output.js';

/**
 * Reads for a command that waits for devices: a hub that stops answering on the way (a restart, a network) ends nothing on them, so
 * it is said once and `undefined` given, to be asked again. Before the first answer, `HUB_UNREACHABLE` is thrown as by any command.
 */
export function patientReader<T>(out: Output, read: () => Promise<T>): () => Promise<T | undefined> {
  let answered = false;
  let away = false;
  return async () => {
    try {
      const value = await read();
      if (away) printNote(out, 'the hub answers again');
      answered = true;
      away = false;
      return value;
    } catch (thrown) {
      if (!answered || !hasCode(thrown, 'HUB_UNREACHABLE')) throw thrown;
      if (!away) printNote(out, `${thrown.message}; asking again`);
      away = true;
      return undefined;
    }
  };
}
