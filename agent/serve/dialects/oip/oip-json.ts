import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { inTurns } from '#shared/kernel/turns.js';
import { readDocument } from '#shared/tensor/json-document.js';
import type { Exchange, HttpAnswer } from '../../http/exchange.js';
import { type JsonObject, objectAt } from '../../json/fields.js';

/** Members whose strings may be long, which become `JsonBytes`, and the most bytes of the body then. */
interface LongStrings {
  readonly members: (member: string) => boolean;
  readonly limit: number;
}

/** The JSON object of a request that changes something or asks for a list; without a body there is nothing in it. */
export async function bodyObject(exchange: Exchange, longStrings?: LongStrings): Promise<JsonObject> {
  const { bytes } = await exchange.body(longStrings === undefined ? LIMITS.feedbackBytes : longStrings.limit);
  return bytes.byteLength === 0 ? {} : objectOf(bytes, longStrings?.members);
}

/** As `bodyObject`, where a request without a body makes no sense. */
export async function neededObject(exchange: Exchange): Promise<JsonObject> {
  const { bytes } = await exchange.body(LIMITS.feedbackBytes);
  if (bytes.byteLength === 0) throw new SkerryError('SERVE_BODY', 'the body is empty, expected an object in JSON');
  return objectOf(bytes);
}

async function objectOf(bytes: Uint8Array, longStrings?: LongStrings['members']): Promise<JsonObject> {
  const options = {
    what: 'the body',
    code: 'SERVE_BODY',
    tensorMembers: NONE,
    ...(longStrings === undefined ? {} : { longStrings }),
  } as const;
  const document = await inTurns(readDocument(bytes, options));
  return objectAt(document, 'the body');
}

const NONE: ReadonlySet<string> = new Set();

/** It was done; there is nothing to tell. */
export const DONE: HttpAnswer = { status: 200, headers: { 'content-type': 'application/json' }, body: [''] };
