import { defineCodes } from './define.js';

export const statsCodes = defineCodes({
  SKETCH_INVALID: {
    fault: 'peer',
    status: 'INVALID_ARGUMENT',
    summary: 'The bytes are not a quantile sketch of a known version.',
    action: 'Update the older of the two sides; if both are current, report it with the bytes.',
  },
  SKETCH_VALUE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A value or weight cannot be put into a quantile sketch (not finite, too large, or a weight that is not a positive integer).',
    action: 'Count such values on their own instead of sketching them.',
  },
  STATS_ARGUMENT: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A statistical method was called with figures outside its domain (more failures than trials, a level outside 0 to 1).',
    action: 'Correct the figures named in the message; a gate that gets this stops its rollout.',
  },
});
