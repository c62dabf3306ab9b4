import { SkerryError } from '#shared/kernel/errors.js';
import { loadNative } from './load-native.js';

/** What packaging/native/system.c offers. */
interface SystemAddon {
  readonly send: (address: string, state: string) => void;
  readonly prepare: () => void;
  readonly release: () => void;
  readonly replace: (file: string, args: readonly string[]) => void;
  readonly endAfter: (seconds: number) => void;
  readonly readHere: (fd: number) => void;
}

/** Loads the addon; loading it again gives the same one. */
export function systemAddon(): SystemAddon {
  const addon = loadNative('skerry_system.node');
  if (!isSystemAddon(addon)) throw new SkerryError('NATIVE_DAMAGED', 'skerry_system.node does not offer what this program was built with');
  return addon;
}

function isSystemAddon(value: unknown): value is SystemAddon {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['send', 'prepare', 'release', 'replace', 'endAfter', 'readHere'].every((name) => name in value)
  );
}
