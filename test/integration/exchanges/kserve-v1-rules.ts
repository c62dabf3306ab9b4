import { all, type DifferenceRule, exchanges, group, path, status, theirError } from './rules.js';

/** How our answers differ on purpose from those of KServe's protocol version 1. */
export const KSERVE_V1_RULES: readonly DifferenceRule[] = [
  {
    what: 'models that are Python programs (`raw`, `cold`, `fail` and the like), also in the list',
    theirs: 'what the program computes or raises',
    ours: '404',
    reason: 'Only ONNX models run here.',
    covers: (exchange, difference) =>
      path(/^\/v1\/models\/(raw|cold|fail\w*)(:|$)/)(exchange, difference) || exchanges('ks-v1-models')(exchange, difference),
  },
  {
    what: 'what the model cannot take: a shape, a word, a whole number out of range; a body without rows',
    theirs: '500',
    ours: '400',
    reason: 'The request is wrong and not the server, so clients must not retry it.',
    covers: status([500], [400]),
  },
  {
    what: '1.5 for a whole number',
    theirs: 'becomes 1',
    ours: '400',
    reason: 'A number that is altered in silence is a wrong answer.',
    covers: exchanges('ks-v1-float-to-int'),
  },
  {
    what: 'NaN and Infinity as bare words, a number beyond the largest double, a byte order mark',
    theirs: '400',
    ours: "read, as Python's `json` reads them",
    reason: 'Python clients write them.',
    covers: all(exchanges('ks-v1-nan-literal', 'ks-v1-inf-literal', 'ks-v1-big-number', 'ks-v1-bom'), status([400], [200])),
  },
  {
    what: 'JSON whose content type has a charset; an event with the header `ce-contenttype`',
    theirs: '500',
    ours: 'answered',
    reason: 'Theirs is a fault of the server.',
    covers: all(exchanges('ks-v1-charset-scale', 'ks-ce-binary-contenttype'), status([500], [200])),
  },
  {
    what: 'a structured event that is none',
    theirs: 'answered by an event',
    ours: '400',
    reason: 'The content type says that the body is an event.',
    covers: exchanges('ks-ce-struct-plain'),
  },
  {
    what: '`:explain`',
    theirs: 'answered by models that explain, else 501',
    ours: '501',
    reason: 'An ONNX model predicts and does not explain.',
    covers: (exchange, difference) => group('v1-explain')(exchange, difference) || exchanges('ks-ce-explain')(exchange, difference),
  },
  {
    what: 'a slash at the end of a path',
    theirs: '307',
    ours: 'as without it',
    reason: 'The slash says nothing else.',
    covers: all(path(/\/$/), status([307], [200])),
  },
  {
    what: 'a path or a method that there is not: the form of the error',
    theirs: '`{"detail": ...}`',
    ours: '`{"error": ...}`',
    reason: 'All errors have one form.',
    covers: theirError(/^\{"detail":/),
  },
];
