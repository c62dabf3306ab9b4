import { defineCodes } from './define.js';

export const rolloutsCodes = defineCodes({
  SELECTOR_INVALID: {
    fault: 'caller',
    http: 400,
    summary: 'The label selector cannot be read; the details give the position (from 0) of the first character that does not fit.',
    action: 'Write it as in "site=lab,tier in (gold,silver),!legacy".',
  },
});
