import { all, any, type DifferenceRule, exchanges, group, path, status } from './rules.js';

/** Differences in HTTP itself. */
export const TRITON_WIRE_RULES: readonly DifferenceRule[] = [
  {
    what: 'errors: content type',
    theirs: '`text/plain` in some places',
    ours: '`application/json`',
    reason: 'The body is JSON in both.',
    covers: (exchange, difference) =>
      (exchange.response.status ?? 0) >= 400 && difference.at === 'header Content-Type' && difference.theirs === 'text/plain',
  },
  {
    what: 'a slash at the end of a path',
    theirs: '404',
    ours: 'as without it',
    reason: 'The slash says nothing else, and clients join paths in both ways.',
    covers: (exchange, { theirs }) => /\/(\?|$)/.test(exchange.path) && theirs === '404',
  },
  {
    what: 'names with percent-encoding',
    theirs: 'compared as they are written',
    ours: 'decoded',
    reason: 'RFC 3986, 2.3: `%5F` is `_`.',
    covers: all(path(/%[0-9A-Fa-f]{2}/), any(status([400, 404], [200]), status([400], [404]))),
  },
  {
    what: 'HEAD',
    theirs: '405, with a body that spoils the connection',
    ours: 'as GET, without a body',
    reason: 'RFC 9110, 9.3.2.',
    covers: (exchange, { theirs, ours }) =>
      (exchange.method === 'HEAD' && theirs === '405' && ours === '200') || exchange.id === 'transport-015',
  },
  {
    what: '`Inference-Header-Content-Length` given twice',
    theirs: 'the first counts',
    ours: '400',
    reason: 'Nobody knows which of them is meant.',
    covers: exchanges('infer-binary-041'),
  },
  {
    what: 'bodies in gzip of several members, with the name x-gzip, bare deflate, and compressed requests other than predictions',
    theirs: 'refused, or taken for something else',
    ours: 'decoded',
    reason: 'RFC 9110, 8.4.1, and what clients send.',
    covers: exchanges('compression-003', 'compression-005', 'compression-017', 'compression-049', 'compression-050'),
  },
  {
    what: 'gzip with a wrong checksum, or with bytes behind its end',
    theirs: 'taken',
    ours: '400',
    reason: 'The body is damaged.',
    covers: exchanges('compression-015', 'compression-018'),
  },
  {
    what: 'codings that are not spoken, and one coding in another',
    theirs: '501',
    ours: '415',
    reason: 'RFC 9110, 15.5.16.',
    covers: all(group('compression'), status([501], [415])),
  },
  {
    what: 'HTTP that is malformed or has no Host, `Expect` of something unknown, a second request behind the first',
    theirs: 'closed without an answer, passed over, or taken',
    ours: 'answered: 400, 417, or in order',
    reason: 'RFC 9112; a client that gets no answer cannot know why.',
    covers: all(
      group('transport'),
      (exchange, { theirs, ours, at: where }) =>
        where === 'status' &&
        (theirs === 'no answer' ||
          exchange.no_host === true ||
          exchange.http_version === '1.2' ||
          ours === '417' ||
          exchange.id === 'transport-028'),
    ),
  },
  {
    what: 'a body of more than 64 MiB',
    theirs: 'taken',
    ours: '413',
    reason: 'Memory is bounded.',
    covers: all(group('transport'), status([200], [413])),
  },
];
