/** One native library inside an executable. */
export interface NativePart {
  /** File name once unpacked; the asset is `native/<name>`. */
  readonly name: string;
  /** Hex. */
  readonly sha256: string;
  readonly size: number;
  /** Other parts that have to lie beside it when it is loaded. */
  readonly needs: readonly string[];
}

export interface NativeManifest {
  /** SHA-256 over the parts, hex: the name of the folder they are unpacked into. */
  readonly digest: string;
  readonly parts: readonly NativePart[];
}

export function nativeAsset(name: string): string {
  return `native/${name}`;
}
