import { SkerryError } from '#shared/kernel/errors.js';
import { boundaryOf, readMultipart } from './multipart.js';

/** Most fields of a form that is written like a query. */
const FORM_FIELDS = 4_096;

/** What a request carries: its body, or the fields of a form by name. */
export type RequestFields =
  | { readonly kind: 'body'; readonly bytes: Uint8Array; readonly isJson: boolean }
  | { readonly kind: 'form'; readonly fields: ReadonlyMap<string, Uint8Array> };

/** Takes a body apart, by its content type. It can be interrupted wherever it yields. Errors: `SERVE_BODY`. */
export function* readFields(contentType: string | undefined, bytes: Uint8Array): Generator<void, RequestFields> {
  const header = contentType ?? '';
  const type = header.replace(/;.*$/s, '').trim().toLowerCase();
  if (type === 'multipart/form-data') {
    const parts = yield* readMultipart(bytes, boundaryOf(header));
    // Of several with one name, the last counts.
    return { kind: 'form', fields: new Map(parts.map((part) => [part.name, part.bytes])) };
  }
  // `curl -d` says that JSON is a form.
  if (type === 'application/x-www-form-urlencoded' && !startsJson(bytes)) return { kind: 'form', fields: urlencoded(bytes) };
  return { kind: 'body', bytes, isJson: type === 'application/json' || type.endsWith('+json') };
}

const OPENS_JSON = /^\s{0,64}[[{]/;

function startsJson(bytes: Uint8Array): boolean {
  return OPENS_JSON.test(Buffer.from(bytes.subarray(0, 80)).toString('latin1'));
}

/** Bytes of a form that is read in one go. */
const FORM_BYTES = 1024 * 1024;

function urlencoded(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  if (bytes.byteLength > FORM_BYTES) {
    throw new SkerryError('SERVE_BODY', `a form in the form of a query has at most ${FORM_BYTES} bytes; send multipart/form-data`);
  }
  const fields = new Map<string, Uint8Array>();
  for (const [name, value] of new URLSearchParams(Buffer.from(bytes).toString('utf8'))) fields.set(name, Buffer.from(value));
  if (fields.size > FORM_FIELDS) throw new SkerryError('SERVE_BODY', `the form has more than ${FORM_FIELDS} fields`);
  return fields;
}
