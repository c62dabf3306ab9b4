import { randomUUID } from 'node:crypto';
import { foregroundClock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Exchange } from '../../http/exchange.js';
import { isObject, type JsonObject } from '../../json/fields.js';

// CloudEvents 1.0.2 over HTTP: in binary mode the attributes are headers, in structured mode the body holds them and the data. An event is
// answered in its own mode.

/** How an answer is wrapped. */
export interface Envelope {
  readonly headers: Readonly<Record<string, string>>;
  /** What stands before and behind the answer. */
  readonly before: string;
  readonly behind: string;
}

interface Received {
  /** What the model is asked. */
  readonly data: unknown;
  readonly answered: (model: string) => Envelope;
}

const JSON_TYPE = 'application/json';
const EVENT_TYPE = 'application/cloudevents+json';
const ATTRIBUTES = ['specversion', 'id', 'source', 'type'] as const;
const SPEC_VERSIONS: readonly unknown[] = ['1.0', '0.3'];

/** What a request carries, which may be an event. Errors: `SERVE_REQUEST` for an event of another version, or without what each has. */
export function eventIn(headers: Exchange['headers'], document: unknown): Received {
  if (mediaType(headers['content-type']) === EVENT_TYPE) return structured(document);
  // Without all of its attributes, it is a request like others that has some headers.
  if (!ATTRIBUTES.every((name) => typeof headers[`ce-${name}`] === 'string')) return { data: dataOf(document), answered: plain };
  checkVersion(headers['ce-specversion']);
  return { data: document, answered: binaryAnswer };
}

/** Of an event whose content type does not say that it is one, the data is what counts. */
function dataOf(document: unknown): unknown {
  return isObject(document) && [...ATTRIBUTES, 'data'].every((name) => document[name] !== undefined) ? document['data'] : document;
}

function mediaType(header: string | undefined): string {
  return (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function structured(document: unknown): Received {
  const event: JsonObject = isObject(document) ? document : {};
  const missing = [...ATTRIBUTES, 'data'].find((name) => event[name] === undefined);
  if (missing !== undefined) throw new SkerryError('SERVE_REQUEST', `the event has no ${missing}`);
  checkVersion(event['specversion']);
  return { data: event['data'], answered: structuredAnswer };
}

function checkVersion(version: unknown): void {
  if (SPEC_VERSIONS.includes(version)) return;
  throw new SkerryError('SERVE_REQUEST', `Cloud Event Exceptions: Found invalid specversion ${JSON.stringify(version)?.slice(0, 64)}`);
}

const PLAIN: Envelope = { headers: { 'content-type': JSON_TYPE }, before: '', behind: '' };

function plain(): Envelope {
  return PLAIN;
}

function attributesOf(model: string) {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: `io.kserve.inference.${model}`,
    type: 'io.kserve.inference.response',
    time: new Date(foregroundClock.now()).toISOString(),
  };
}

function binaryAnswer(model: string): Envelope {
  const attributes = attributesOf(model);
  const headers = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, headerText(value)]));
  return { headers: { 'content-type': JSON_TYPE, ...headers }, before: '', behind: '' };
}

/** CloudEvents' HTTP binding, 3.1.3.2: what is not printable ASCII is percent-encoded, and so are space, quote and percent sign. */
function headerText(value: string): string {
  return value.replaceAll(/[^!#$&-~]/gu, encodeURIComponent);
}

function structuredAnswer(model: string): Envelope {
  const head = JSON.stringify(attributesOf(model));
  return { headers: { 'content-type': EVENT_TYPE }, before: `${head.slice(0, -1)},"data":`, behind: '}' };
}
