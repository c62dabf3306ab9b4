import { deflateRawSync } from 'node:zlib';

export interface ZipOptions {
  readonly compress?: boolean;
  readonly comment?: string;
  /** What the archive says instead of the truth. */
  readonly flags?: number;
  readonly method?: number;
  readonly size?: number;
  readonly localAt?: number;
  readonly directoryAt?: number;
}

/** A zip archive (APPNOTE.TXT 4.3) of files by name; without checksums, which nothing here reads. */
export function zipFile(files: Readonly<Record<string, Uint8Array>>, options: ZipOptions = {}): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, content] of Object.entries(files)) {
    const packed = options.compress === true ? deflateRawSync(content) : Buffer.from(content);
    const nameBytes = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(options.flags ?? 0, 2);
    common.writeUInt16LE(options.method ?? (options.compress === true ? 8 : 0), 4);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(options.size ?? content.byteLength, 18);
    common.writeUInt16LE(nameBytes.length, 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(options.localAt ?? at, 10);
    directory.push(signature(0x02014b50), Buffer.from([20, 0]), common, tail, nameBytes);
    const local = [signature(0x04034b50), common, nameBytes, packed];
    parts.push(...local);
    at += local.reduce((sum, part) => sum + part.length, 0);
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(Object.keys(files).length, 4);
  end.writeUInt16LE(Object.keys(files).length, 6);
  end.writeUInt32LE(list.length, 8);
  end.writeUInt32LE(options.directoryAt ?? at, 12);
  const comment = Buffer.from(options.comment ?? '');
  end.writeUInt16LE(comment.length, 16);
  return new Uint8Array(Buffer.concat([...parts, list, signature(0x06054b50), end, comment]));
}

function signature(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
