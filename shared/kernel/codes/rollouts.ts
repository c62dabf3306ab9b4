import { defineCodes } from './define.js';

export const rolloutsCodes = defineCodes({
  SELECTOR_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The label selector cannot be read; the details give the position (from 0) of the first character that does not fit.',
    action: 'Write it as in "site=lab,tier in (gold,silver),!legacy".',
  },
  ROLLOUT_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The rollout document is not valid; every bad path is listed in the details.',
    action: 'Correct the listed paths and create it again.',
  },
  ROLLOUT_INCOMPLETE: {
    fault: 'environment',
    status: 'DEADLINE_EXCEEDED',
    summary: 'A command stopped waiting for a rollout, which goes on without it.',
    action: 'Look again with `skerry rollout watch ROLLOUT`, or wait longer with --timeout.',
  },
  ROLLOUT_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'There is no rollout with this id.',
    action: 'List the rollouts and use an id from there.',
  },
  ROLLOUT_STATE: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The rollout is in a state in which this cannot be done; the details list the states in which it can.',
    action: 'Look at the rollout and wait for, or bring it into, one of those states.',
  },
  ROLLOUT_DEVICE_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'A device named is not part of this rollout; the details list those that are not.',
    action: 'List its devices with `skerry rollout devices ROLLOUT`.',
  },
  ROLLOUT_OVERLAP: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'Another rollout of the same model is under way on some of these devices; only one at a time is on a device.',
    action:
      'Let it end, end it with `skerry rollout abort` or `skerry rollout rollback`, or create this one with `--supersede`, which ends the other where it stands.',
  },
  DEPLOYMENT_OVERLAP: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'A rollout of the same model is under way on some of these devices, and it alone decides there until it has ended.',
    action:
      'Let it end, end it with `skerry rollout abort` or `skerry rollout rollback`, choose other devices, or deploy with `--supersede`, which ends it where it stands.',
  },
  ROLLOUT_NOT_A_TRIAL: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'Only a shadow or an A/B that completed can be promoted.',
    action: 'Wait until it has completed; for another rollout create a new one.',
  },
  ROLLOUT_EMPTY: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'No device of the cohort can run the version.',
    action: 'Look at the plan: it lists the devices of the cohort and why each cannot.',
  },
  ROLLOUT_ROLE: {
    fault: 'caller',
    status: 'PERMISSION_DENIED',
    summary: 'The wave waits for the approval of somebody with another role.',
    action: 'Ask somebody with the role named in the message to approve.',
  },
  ROLLOUT_CHANGED: {
    fault: 'caller',
    status: 'ABORTED',
    summary: 'The rollout moved on between reading and changing it.',
    action: 'Look at it again and decide anew.',
  },
  ROLLOUT_TRANSITION: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'An event came in a state that has no row for it in the transition table.',
    action: 'Report it with the decision record of the rollout (skerry rollout explain).',
  },
  COHORT_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'There is no saved cohort with this name.',
    action: 'List the cohorts, or save one under this name.',
  },
  COHORT_IN_USE: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The saved cohort belongs to a rollout under way.',
    action: 'Wait until that rollout has ended, or save the change under another name.',
  },
});
