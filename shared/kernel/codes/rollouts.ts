import { defineCodes } from './define.js';

export const rolloutsCodes = defineCodes({
  SELECTOR_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The label selector is invalid. The details give the position (from 0) of the first wrong character.',
    action: 'Use the form "site=lab,tier in (gold,silver),!legacy".',
  },
  ROLLOUT_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The rollout document is invalid. The details list every invalid path.',
    action: 'Correct the listed paths and create it again.',
  },
  ROLLOUT_INCOMPLETE: {
    fault: 'environment',
    status: 'DEADLINE_EXCEEDED',
    summary: 'The command timed out waiting for a rollout. The rollout continues.',
    action: 'Run `skerry rollout watch ROLLOUT`, or wait longer with --timeout.',
  },
  ROLLOUT_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'There is no rollout with this id.',
    action: 'List the rollouts with `skerry rollout list`.',
  },
  ROLLOUT_STATE: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The state of the rollout does not allow this action. The details list the states that do.',
    action: 'Check the rollout with `skerry rollout show ROLLOUT`, and wait for one of those states or change to it.',
  },
  ROLLOUT_DEVICE_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'The rollout does not include a named device. The details list the missing devices.',
    action: 'List the devices with `skerry rollout devices ROLLOUT`.',
  },
  ROLLOUT_OVERLAP: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'Another rollout of the same model is running on some of these devices. Only one at a time may.',
    action:
      'Wait until it ends, end it with `skerry rollout abort` or `skerry rollout rollback`, or create this one with `--supersede`, which ends the other one.',
  },
  DEPLOYMENT_OVERLAP: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'A rollout of the same model is running on some of these devices and controls the model there.',
    action:
      'Wait until it ends, end it with `skerry rollout abort` or `skerry rollout rollback`, choose other devices, or deploy with `--supersede`, which ends it.',
  },
  ROLLOUT_NOT_A_TRIAL: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'Only a completed shadow or A/B rollout can be promoted.',
    action: 'Wait until it has completed. For other rollouts, create a new one.',
  },
  ROLLOUT_EMPTY: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'No device of the cohort can run the version.',
    action: 'Run `skerry rollout plan`: it lists the devices of the cohort and why each cannot run the version.',
  },
  ROLLOUT_ROLE: {
    fault: 'caller',
    status: 'PERMISSION_DENIED',
    summary: 'The wave needs the approval of another role.',
    action: 'Ask somebody with the role that the message names.',
  },
  ROLLOUT_CHANGED: {
    fault: 'caller',
    status: 'ABORTED',
    summary: 'The rollout changed between reading and writing it.',
    action: 'Check the rollout again, then repeat the command.',
  },
  ROLLOUT_TRANSITION: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'The rollout state machine got an event that its state does not accept.',
    action: 'Report it as a bug, with the decisions of the rollout (`skerry rollout explain`).',
  },
  COHORT_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'There is no saved cohort with this name.',
    action: 'List the cohorts with `skerry cohort list`, or save one with this name.',
  },
  COHORT_IN_USE: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'A running rollout uses the saved cohort.',
    action: 'Wait until that rollout has ended, or save the change under another name.',
  },
});
