import { defineCodes } from './define.js';

export const modelsCodes = defineCodes({
  MODELS_NOT_TRUSTED: {
    fault: 'peer',
    http: 422,
    summary: 'No publisher trusted by the pinned root signed the version the hub asks for.',
    action: 'Publish the version with a key the root delegates this model name to, or deploy another one.',
  },
  MODELS_MANIFEST_MISMATCH: {
    fault: 'peer',
    http: 422,
    summary: 'The manifest the hub asks for is not the one the publisher signed under this version, or describes another one.',
    action: 'Look at the hub: its desired state and the signed metadata disagree; deploy again once they agree.',
  },
  MODELS_BELOW_MINIMUM: {
    fault: 'peer',
    http: 422,
    summary: 'The version is below the minimum the publisher allows for this model.',
    action: 'Deploy a version at or above the minimum.',
  },
  MODELS_VERSION_CHANGED: {
    fault: 'peer',
    http: 409,
    summary: 'The hub asks for other content under a version that is already installed here; versions never change.',
    action: 'Publish the new content under a new version.',
  },
  MODELS_NO_USABLE_VARIANT: {
    fault: 'caller',
    http: 422,
    summary: 'No variant of the version can run on this device: provider or memory is missing.',
    action: 'Publish a variant this device can run, or deploy to devices that can run it.',
  },
  MODELS_OVER_BUDGET: {
    fault: 'environment',
    http: 507,
    summary: 'The version does not fit into the disk budget beside what serves and what is kept to go back to.',
    action: 'Raise the disk budget of the agent, then deploy again with a new attempt.',
  },
  MODELS_CRASHED: {
    fault: 'peer',
    http: 500,
    summary: 'The agent ended again and again while this version was starting or on probation.',
    action: 'Look for the crash in the log of the device; deploy again with a new attempt once its cause is gone.',
  },
  MODELS_SERVABLE_FAILED: {
    fault: 'peer',
    http: 500,
    summary: 'The version stopped serving by itself.',
    action: 'Look at the events of the device around it; deploy another version.',
  },
  MODELS_NO_ROOM_BESIDE: {
    fault: 'environment',
    http: 507,
    summary: 'The version does not fit into memory beside the one that serves.',
    action: 'Roll it out so that it takes the place of the other (a canary does), or free memory and try again with a new attempt.',
  },
  MODELS_GUARD_ERRORS: {
    fault: 'peer',
    http: 500,
    summary: 'On this device the version failed more predictions than the one before it, and the device went back.',
    action: 'Look at the error codes in the metrics of the version; publish a corrected one.',
  },
  MODELS_GUARD_LATENCY: {
    fault: 'peer',
    http: 500,
    summary: 'On this device the version took longer than the one before it, and the device went back.',
    action: 'Publish a faster variant, or allow more in the latency gate of the rollout.',
  },
  MODELS_GUARD_CRASHES: {
    fault: 'peer',
    http: 500,
    summary: 'On this device the workers of the version ended unasked while it was on trial, and the device went back.',
    action: 'Look for the crash in the log of the device; publish a corrected version.',
  },
  MODELS_GUARD_GOLDEN: {
    fault: 'peer',
    http: 500,
    summary: 'After real requests the version gave other answers to its golden samples than before, and the device went back.',
    action: 'Look for state that requests leave behind in the model, and for memory errors of the device.',
  },
  MODELS_GUARD_FLAPPING: {
    fault: 'peer',
    http: 500,
    summary: 'The device took versions of this model back by itself so often within a day that it tries no further one.',
    action: 'Find out why they failed there; deploy with a new attempt (`--retry`) to try once more.',
  },
  MODELS_LOOP: {
    fault: 'ours',
    http: 500,
    summary: 'The version went round the same states without getting anywhere, and was given up.',
    action: 'Report it with the events of the device; deploy again with a new attempt to try once more.',
  },
  MODELS_ILLEGAL_TRANSITION: {
    fault: 'ours',
    http: 500,
    summary: 'An install state met an event it has no row for.',
    action: 'Report it with the log lines around it.',
  },
});
