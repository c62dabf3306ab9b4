import { closeSync, openSync, readSync } from 'node:fs';
import { asSkerryError } from '#shared/kernel/errors.js';
import { isNpy } from '#shared/tensor/npy-header.js';

/** What a file is that the runtime does not take for a model, and what its owner does next. */
interface FileKind {
  readonly what: string;
  readonly advice: string;
}

interface Row extends FileKind {
  readonly fits: (head: Buffer) => boolean;
}

const HEAD_BYTES = 4096;

const startsWith =
  (...bytes: readonly (number | string)[]) =>
  (head: Buffer): boolean =>
    head.indexOf(Buffer.concat(bytes.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))))) === 0;
const hasAt = (at: number, text: string) => (head: Buffer) => head.toString('latin1', at, at + text.length) === text;
/** Text that begins so, whatever its case and the blanks before it. */
const textStarts = (pattern: RegExp) => (head: Buffer) =>
  pattern.test(
    head
      .toString('latin1')
      .replace(/^\u00ef\u00bb\u00bf/, '')
      .trimStart(),
  );
const zipWith = (pattern: RegExp) => (head: Buffer) => startsWith('PK', 3, 4)(head) && pattern.test(head.toString('latin1'));

const EXPORT_TORCH = 'load it in PyTorch and export it with torch.onnx.export';
const EXPORT_KERAS = 'convert it with tf2onnx (python -m tf2onnx.convert) or model.export(path, format="onnx")';
const UNPACK = 'unpack it and give the .onnx file in it';

/** The first row that fits says what a file is. */
const KINDS: readonly Row[] = [
  { fits: (head) => head.length === 0, what: 'an empty file', advice: 'copy or download the model again' },
  {
    fits: startsWith('version https://git-lfs.github.com/spec/'),
    what: 'a Git LFS pointer, not the model itself',
    advice: 'run "git lfs pull" in the repository it is from, then publish again',
  },
  {
    fits: textStarts(/^(<!doctype html|<html|<head|<body)/i),
    what: 'a web page (HTML)',
    advice: 'download the file itself, for example from the address behind "raw" or "download"',
  },
  {
    fits: textStarts(/^<\?xml|^<net\s/i),
    what: 'an XML file',
    advice: 'give the .onnx file; a model in the form of OpenVINO is exported to ONNX from its original framework',
  },
  { fits: zipWith(/data\.pkl|archive\/|\.data\/|constants\.pkl/), what: 'a PyTorch checkpoint', advice: EXPORT_TORCH },
  { fits: zipWith(/^.{30}(metadata\.json|config\.json|model\.weights\.h5)/s), what: 'a Keras model', advice: EXPORT_KERAS },
  { fits: zipWith(/\.npy/), what: 'an npz file with arrays', advice: 'give the .onnx file here, and the arrays with --golden' },
  { fits: startsWith('PK', 3, 4), what: 'a zip archive', advice: UNPACK },
  { fits: startsWith('PK', 5, 6), what: 'an empty zip archive', advice: 'copy or download the model again' },
  { fits: startsWith(0x1f, 0x8b), what: 'a gzip archive', advice: UNPACK },
  { fits: startsWith('BZh'), what: 'a bzip2 archive', advice: UNPACK },
  { fits: startsWith(0xfd, '7zXZ'), what: 'an xz archive', advice: UNPACK },
  { fits: startsWith(0x28, 0xb5, 0x2f, 0xfd), what: 'a zstd archive', advice: UNPACK },
  { fits: startsWith('7z', 0xbc, 0xaf), what: 'a 7z archive', advice: UNPACK },
  { fits: startsWith('Rar!'), what: 'a rar archive', advice: UNPACK },
  { fits: hasAt(257, 'ustar'), what: 'a tar archive', advice: UNPACK },
  { fits: startsWith(0x89, 'HDF'), what: 'an HDF5 file, as Keras saves models', advice: EXPORT_KERAS },
  { fits: hasAt(4, 'TFL3'), what: 'a TensorFlow Lite model', advice: 'convert it with tf2onnx (python -m tf2onnx.convert --tflite FILE)' },
  {
    fits: hasAt(4, 'ORTM'),
    what: "a model in ONNX Runtime's own format (.ort)",
    advice: 'publish the .onnx file it was made from: devices prepare it for themselves',
  },
  { fits: startsWith('GGUF'), what: 'a GGUF model', advice: 'export the model to ONNX from its original framework' },
  { fits: startsWith('ftrt'), what: 'a TensorRT engine', advice: 'publish the .onnx file it was made from' },
  {
    fits: isSafetensors,
    what: 'a safetensors file, which holds weights and no graph',
    advice: 'export the model to ONNX from its framework',
  },
  { fits: isNpy, what: 'an npy file with one array', advice: 'give the .onnx file here, and the array with --golden' },
  {
    fits: (head) => head[0] === 0x80 && (head[1] ?? 0) >= 2 && (head[1] ?? 0) <= 5,
    what: 'a Python pickle, such as of PyTorch, joblib or scikit-learn',
    advice: 'load it in Python and export it to ONNX, with torch.onnx.export or skl2onnx',
  },
  { fits: startsWith(0x7f, 'ELF'), what: 'an executable or library', advice: 'give the .onnx file' },
  { fits: textStarts(/^[[{]/), what: 'a JSON file', advice: 'give the .onnx file; golden inputs go with --golden' },
  { fits: isText, what: 'a text file', advice: 'look into it: it may hold the error of a download; then download the model again' },
];

/** What the file is, where its first bytes tell that it is something else than an ONNX model. */
export function fileKind(path: string): FileKind | undefined {
  const head = readHead(path);
  const row = KINDS.find(({ fits }) => fits(head));
  return row === undefined ? undefined : { what: row.what, advice: row.advice };
}

function readHead(path: string): Buffer {
  try {
    const file = openSync(path, 'r');
    try {
      const head = Buffer.alloc(HEAD_BYTES);
      return head.subarray(0, readSync(file, head, 0, HEAD_BYTES, 0));
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw asSkerryError(cause, 'IO_FAILED');
  }
}

/** An 8-byte length, then JSON. */
function isSafetensors(head: Buffer): boolean {
  return head.length > 9 && head.readBigUInt64LE(0) < 1_000_000_000n && head[8] === 0x7b && (head[9] === 0x22 || head[9] === 0x7d);
}

function isText(head: Buffer): boolean {
  return head.every((byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d || byte === 0x0c);
}
