import { SkerryError } from '#shared/kernel/errors.js';

/** Most parts of a form, and bytes of the headers of one. */
const PARTS = 4_096;
const PART_HEADER_BYTES = 16 * 1024;

const BREAK = '\r\n';

/** One part of a form: a view over the body. */
export interface FormPart {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The boundary that a content type names (RFC 2046, 5.1.1). */
export function boundaryOf(contentType: string): string {
  const found = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70})(?=[\s;,]|$))/i.exec(contentType);
  const boundary = found?.[1] ?? found?.[2];
  if (boundary !== undefined) return boundary;
  throw new SkerryError('SERVE_BODY', 'multipart/form-data needs a boundary of at most 70 characters in its Content-Type');
}

/** Parts of a body of multipart/form-data (RFC 7578), as views over it. It can be interrupted wherever it yields. Errors: `SERVE_BODY`. */
export function* readMultipart(bytes: Uint8Array, boundary: string): Generator<void, readonly FormPart[]> {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const delimiter = `--${boundary}`;
  const parts: FormPart[] = [];
  let at = body.indexOf(delimiter);
  if (at > 0 && body.toString('latin1', at - BREAK.length, at) !== BREAK) at = -1;
  if (at >= 0 && !endsHere(body, at + delimiter.length)) at = -1;
  for (;;) {
    if (at < 0) throw new SkerryError('SERVE_BODY', `the form does not end with --${boundary}--`);
    at += delimiter.length;
    if (body.toString('latin1', at, at + 2) === '--') return parts;
    if (parts.length >= PARTS) throw new SkerryError('SERVE_BODY', `the form has more than ${PARTS} parts`);
    const start = body.indexOf(BREAK, at);
    const headersEnd = start < 0 ? -1 : body.subarray(start, start + PART_HEADER_BYTES).indexOf(BREAK + BREAK);
    if (headersEnd < 0) {
      throw new SkerryError('SERVE_BODY', `part ${parts.length} of the form has no end of its headers within ${PART_HEADER_BYTES} bytes`);
    }
    const content = start + headersEnd + 2 * BREAK.length;
    // A part without content has one line break for the end of its headers and the begin of the delimiter.
    let end = body.indexOf(BREAK + delimiter, content - BREAK.length);
    for (; end >= 0 && !endsHere(body, end + BREAK.length + delimiter.length); end = body.indexOf(BREAK + delimiter, end + 1)) yield;
    if (end < 0) throw new SkerryError('SERVE_BODY', `the form does not end with --${boundary}--`);
    const headers = body.toString('utf8', start, start + headersEnd);
    parts.push({ name: nameOf(headers, parts.length), bytes: bytes.subarray(content, Math.max(content, end)) });
    at = end + BREAK.length;
    yield;
  }
}

/** RFC 2046, 5.1.1: a delimiter is followed by two hyphens or by white space and a line end. A longer text that begins so is content. */
function endsHere(body: Buffer, at: number): boolean {
  const rest = body.toString('latin1', at, at + PADDING + 2);
  return rest.startsWith('--') || /^[ \t]*\r\n/.test(rest);
}

/** Most white space behind a delimiter. */
const PADDING = 64;

const DISPOSITION = /^content-disposition:[^\r\n]*?;\s*name=(?:"((?:[^"\\\r\n]|\\.)*)"|([^\s;"]+))/im;

function nameOf(headers: string, part: number): string {
  const found = DISPOSITION.exec(headers);
  const name = found?.[1] ?? found?.[2];
  if (name !== undefined) return name.replaceAll(/\\(.)/g, '$1');
  throw new SkerryError('SERVE_BODY', `part ${part} of the form has no Content-Disposition with a name`);
}
