import { defineCodes } from './define.js';

export const fleetCodes = defineCodes({
  ENROL_TOKEN_INVALID: {
    fault: 'caller',
    status: 'UNAUTHENTICATED',
    summary: 'The enrolment token is unknown, expired, revoked or used up.',
    action: 'Create a new one with `skerry token create` and enrol with it.',
  },
  ENROL_TOKEN_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'No enrolment token has the given id.',
    action: 'List the tokens with `skerry token list`.',
  },
  ENROL_PROOF_INVALID: {
    fault: 'caller',
    status: 'UNAUTHENTICATED',
    summary: 'The signature over the enrolment statement does not fit the public key.',
    action: 'Enrol again with the agent that made the key; if it repeats, agent and hub are of different protocol versions.',
  },
  DEVICE_ID_TAKEN: {
    fault: 'caller',
    status: 'ALREADY_EXISTS',
    summary: 'A device with another key has this name.',
    action:
      'Choose another name. To give the name to a new machine or card, run `skerry device replace NAME` and enrol with the token it prints.',
  },
  ENROL_TOKEN_BOUND: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'This enrolment token is for one device, and the request names another one.',
    action: 'Enrol with the name in the message, or without --name; other devices need a token from `skerry token create enrolment`.',
  },
  DEVICE_REPLACED: {
    fault: 'caller',
    status: 'PERMISSION_DENIED',
    summary: 'The key of this machine was replaced: another machine has its place in the fleet.',
    action: 'Enrol this machine from an empty data folder, which makes a new key, under another name.',
  },
  DEVICE_ONLINE: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The device to be replaced is connected; replacing it would cut it off.',
    action: 'Check the name. Add --force if the machine that is connected is the one to be replaced.',
  },
  DEVICE_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'No device of this fleet has the given id.',
    action: 'List the devices with `skerry device list`.',
  },
  DEVICE_REVOKED: {
    fault: 'caller',
    status: 'PERMISSION_DENIED',
    summary: 'The device was removed from the fleet.',
    action:
      'Run `skerry device restore NAME` to take the same machine back, or `skerry device replace NAME` to give its name to a new key.',
  },
  DEVICE_COPIED: {
    fault: 'environment',
    status: 'FAILED_PRECONDITION',
    summary: 'Another device answers under the same name: both were made from one card or one copy of a data folder.',
    action:
      'Give one of them a name of its own with `skerry-agent enroll --force --new-key --name NAME`, then run `skerry device settle DEVICE` (docs/OPERATIONS.md, "Cloned devices").',
  },
  DEVICE_COPY_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'No copy of the device, or more than one, has the given name or start.',
    action: 'Name one as `skerry device show DEVICE` shows it: by the name of its machine or the beginning of its start.',
  },
  LABEL_TIME_ZONE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The label skerry/time-zone has to name a time zone, because windows of rollouts in the time of the device go by it.',
    action: 'Write a name of the IANA time zone database with "." in place of "/", such as skerry/time-zone=Europe.Berlin.',
  },
  DEPLOYMENT_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'No deployment has the given id.',
    action: 'List the deployments with `skerry deployment list`.',
  },
  DESIRED_TOO_LARGE: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'A device would be told to hold more models than one desired state can name.',
    action: 'Narrow the selector, or take models off the device that it no longer needs (`skerry undeploy`).',
  },
  BROKER_OFFLINE: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The hub has no connection to its MQTT broker.',
    action: 'Nothing if it is short: the hub reconnects and publishes again by itself; otherwise look at the broker.',
  },
  BROKER_LISTEN_FAILED: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'The embedded broker could not listen on its address.',
    action: 'Stop the program that has the port, or choose another with --mqtt-port (0 takes any free one).',
  },
  BLOB_FORBIDDEN: {
    fault: 'caller',
    status: 'PERMISSION_DENIED',
    summary: 'A device asked for a manifest or artifact that none of its desired states leads to.',
    action: 'Deploy the version to this device first; the device asks again with its next desired state.',
  },
  BLOB_UNKNOWN: {
    fault: 'peer',
    status: 'NOT_FOUND',
    summary: 'The hub does not hold the blob a device asked for.',
    action: 'Publish the version again if its artifacts were removed; the device asks again with the next desired state.',
  },
  BLOB_PIECES_MISMATCH: {
    fault: 'peer',
    status: 'INVALID_ARGUMENT',
    summary: 'A fetch request counts other pieces than the blob has.',
    action: 'Update the agent; it cut the blob in another way than the manifest says.',
  },
});
