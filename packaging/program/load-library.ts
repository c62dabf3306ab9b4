import { loadNative } from './load-native.js';
import { systemAddon } from './system-addon.js';

/** `loadNative` for the large ones: what reads them for their digest does not have them kept in larger parts than are used. */
export function loadLibrary(name: string): unknown {
  // There is no such addon for Windows.
  if (process.platform === 'win32') return loadNative(name);
  const { readHere } = systemAddon();
  return loadNative(name, readHere);
}
