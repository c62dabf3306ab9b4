import { defineCodes } from './define.js';

export const statsCodes = defineCodes({
  SKETCH_INVALID: {
    fault: 'peer',
    status: 'INVALID_ARGUMENT',
    summary: 'The bytes are not a quantile sketch of a known version.',
    action: 'Update the older of the two sides. If both are current, report it with the bytes.',
  },
  SKETCH_VALUE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A quantile sketch cannot hold this value or weight: it is not finite, too large, or the weight is not a positive integer.',
    action: 'Count such values separately instead.',
  },
  STATS_ARGUMENT: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A statistical method got figures outside its domain, such as more failures than trials, or a level outside 0 to 1.',
    action: 'Correct the figures that the message names. A gate with such figures stops its rollout.',
  },
});
