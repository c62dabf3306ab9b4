import { all, any, at, body, type DifferenceRule, exchanges, group, path, status, theirError } from './rules.js';

/** What Triton says of JSON that it cannot read, and of a member of the wrong kind. */
const JSON_ERROR =
  /failed to parse the request JSON|attempt to access JSON|attempt to get members|Unable to (parse|set)|failed to poll|creating Triton parameter/;

/** Differences in what requests and answers hold. */
export const TRITON_VALUE_RULES: readonly DifferenceRule[] = [
  {
    what: 'bad JSON, a member of the wrong type, a configuration that is refused',
    theirs: '500; 200 on unload',
    ours: '400',
    reason: 'The request is wrong and not the server, so monitoring must not count it as a failure of the server.',
    covers: any(all(theirError(JSON_ERROR), status([500], [400])), all(path(/\/unload$/), status([200], [400]))),
  },
  {
    what: 'a body or `parameters` that are no object',
    theirs: '200: passed over',
    ours: '400',
    reason: 'What cannot be meant is refused.',
    covers: all(status([200], [400]), body(/^(\[\]|"x"|5)$|"parameters": ?\[/)),
  },
  {
    what: '`null` in place of an optional member',
    theirs: '500',
    ours: 'as if it were left out',
    reason: 'Clients whose classes have optional members write them so.',
    covers: all(status([500], [200]), body(/: ?null/)),
  },
  {
    what: 'a member that is given twice',
    theirs: 'the first counts, or 400, or 500',
    ours: 'the last counts',
    reason: 'As every JSON parser of the usual languages reads it.',
    covers: exchanges('infer-shape-048', 'malformed-032', 'infer-parameters-020'),
  },
  {
    what: 'whole numbers out of range, and numbers beyond FP32',
    theirs: 'wrap, or become infinite',
    ours: '400',
    reason: 'A silently wrong prediction is worse than an error.',
    covers: all(group('infer-types'), status([200], [400]), body(/"data": ?\[-?\d[\d.e+]*\]/)),
  },
  {
    what: '`1.0` and `1e3` where a whole number is due',
    theirs: '500',
    ours: 'taken',
    reason: 'They are whole numbers, and JavaScript knows no others.',
    covers: all(group('infer-types'), status([500], [200]), body(/"data": ?\[-?\d+(\.0|e\d+)\]/)),
  },
  {
    what: 'nesting of `data` that is not that of the shape; data for a shape with a 0',
    theirs: 'flattened, or passed over',
    ours: '400',
    reason: 'Rows of the wrong length are a mistake, and would move values to other places.',
    covers: all(status([200], [400]), any(body(/"data": ?\[+\[/), exchanges('infer-shape-006', 'infer-shape-037', 'infer-bytes-015'))),
  },
  {
    what: 'tensors without elements',
    theirs: 'run',
    ours: '400 (`TENSOR_EMPTY`)',
    reason: 'Kernels of ONNX Runtime end the process on some of them. A version can prove that it takes them.',
    covers: all(status([200], [400]), any(body(/"shape": ?\[0/), exchanges('infer-shape-046', 'infer-binary-045'))),
  },
  {
    what: 'a body of no bytes',
    theirs: 'an empty tensor',
    ours: '400',
    reason: 'A request that lost its body must not be answered.',
    covers: exchanges('malformed-001', 'malformed-019'),
  },
  {
    what: 'a shape of more elements than fit',
    theirs: '400, 500, or the server ends',
    ours: '413',
    reason: 'Too large is not malformed.',
    covers: (exchange, { at: where, theirs, ours }) =>
      exchange.group === 'infer-shape' && where === 'status' && ['400', '500', 'no answer'].includes(theirs) && ours === '413',
  },
  {
    what: 'NaN and infinities in an answer',
    theirs: 'the words `NaN`, `Infinity`, `-Infinity`',
    ours: 'the same as strings',
    reason: 'The words are not JSON, and most parsers refuse the whole answer. Both are read.',
    covers: (_, { theirs, ours }) => /^"#(NaN|-?Infinity)"$/.test(theirs) && theirs.replace('#', '') === ours,
  },
  {
    what: 'FP16 and BF16 in JSON',
    theirs: '400',
    ours: 'numbers, both ways',
    reason: 'Users ask for it, and every value of them has a number.',
    covers: all(group('infer-half'), status([400], [200])),
  },
  {
    what: 'BOOL elements other than 0 and 1',
    theirs: 'passed on',
    ours: '400',
    reason: 'What a model does with them is undefined.',
    covers: exchanges('infer-types-093', 'infer-types-094', 'infer-binary-052'),
  },
  {
    what: 'text that is not UTF-8, or has a zero character',
    theirs: 'passed on; in an id or behind the JSON the zero ends the text',
    ours: '400; kept in an id',
    reason: 'ONNX Runtime would cut or replace it.',
    covers: exchanges('infer-bytes-005', 'infer-bytes-009', 'infer-bytes-022', 'infer-bytes-023', 'infer-id-012', 'malformed-016'),
  },
  {
    what: 'JSON nested deeper than 64 levels',
    theirs: 'taken',
    ours: '400',
    reason: 'No request of the protocol is so deep.',
    covers: all(group('malformed'), status([200], [400]), body(/\[{65}/)),
  },
  {
    what: 'classification of text, and of tensors without elements',
    theirs: 'the server ends',
    ours: '400',
    reason: 'It is a mistake of the request.',
    covers: all(group('infer-classification'), (exchange) => exchange.server_may_die === true),
  },
  {
    what: 'health and readiness: the body',
    theirs: 'none',
    ours: '`{"live":true}`, `{"ready":true}`',
    reason: 'Clients of KServe read the body; those of Triton read the status alone.',
    covers: any(
      all(path(/\/(live|ready)(\?|$)/), at(/^(body|header Content-Type)$/)),
      all(exchanges('transport-042'), at(/^(body|header)/)),
    ),
  },
];
