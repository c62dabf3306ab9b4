import { z } from 'zod';

/** Asset of the executable that lists its native libraries. */
export const NATIVE_MANIFEST_ASSET = 'native/manifest.json';
export const NATIVE_MANIFEST_BYTES = 64 * 1024;

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);

const nativePartSchema = z.strictObject({
  /** File name once unpacked; the asset is `native/<name>`. */
  name: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/),
  sha256: sha256Schema,
  size: z.int().min(1),
  /** Other parts that have to lie beside it when it is loaded. */
  needs: z.array(z.string()).max(16),
});
export type NativePart = z.infer<typeof nativePartSchema>;

export const nativeManifestSchema = z.strictObject({
  /** SHA-256 over the parts: the name of the folder they are unpacked into. */
  digest: sha256Schema,
  parts: z.array(nativePartSchema).max(64),
});
export type NativeManifest = z.infer<typeof nativeManifestSchema>;

export function nativeAsset(name: string): string {
  return `native/${name}`;
}
