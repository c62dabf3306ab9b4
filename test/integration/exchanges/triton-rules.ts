import type { Difference } from './compare.js';
import type { HttpExchange } from './record.js';
import type { DifferenceRule } from './rules.js';

const status = (theirs: string | readonly string[], ours: string | readonly string[]) => (difference: Difference) =>
  difference.at === 'status' && theirs.includes(difference.theirs) && ours.includes(difference.ours);

const errorText = ({ response }: HttpExchange): string => response.body_text ?? '';

/** What Triton says of JSON that it cannot read, and of a member of the wrong kind. */
const JSON_ERROR = /failed to parse the request JSON|attempt to access JSON|Unable to parse|Unable to find 'data'|tensor data|parse error/;

/** How our answers over HTTP differ on purpose from those of Triton. */
export const TRITON_RULES: readonly DifferenceRule[] = [
  {
    what: 'bad JSON, or a member of the wrong type: theirs 500, ours 400',
    reason: 'The request is wrong and not the server, so monitoring must not count it as a failure of the server.',
    covers: (exchange, difference) => JSON_ERROR.test(errorText(exchange)) && status(['500'], ['400'])(difference),
  },
  {
    what: 'errors: some of theirs have the type `text/plain`, ours `application/json`',
    reason: 'The body is JSON in both.',
    covers: ({ response }, { at, theirs, ours }) =>
      (response.status ?? 0) >= 400 && at === 'header Content-Type' && theirs === 'text/plain' && ours === 'application/json',
  },
  {
    what: 'a slash at the end of a path: theirs 404, ours as without it',
    reason: 'The slash says nothing else, and clients join paths in both ways.',
    covers: ({ path }, difference) => /\/(\?|$)/.test(path) && difference.theirs === '404',
  },
  {
    what: 'HEAD: theirs 405, with a body that spoils the connection; ours as GET without a body',
    reason: 'RFC 9110, 9.3.2.',
    covers: ({ method }, { theirs, ours }) => method === 'HEAD' && theirs === '405' && ours === '200',
  },
  {
    what: 'health: theirs an empty body, ours `{"live":true}` or `{"ready":true}`',
    reason: 'Clients of KServe read the body; those of Triton read the status alone.',
    covers: ({ path }, { at }) => /\/(live|ready)(\?|$)/.test(path) && (at === 'body' || at === 'header Content-Type'),
  },
];
