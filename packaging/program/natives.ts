import type { NativeManifest } from './native-manifest.js';

/** The native libraries inside the executable. Bundling puts the real list here, when their digests are known. */
export const NATIVES: NativeManifest = { digest: '', parts: [] };
