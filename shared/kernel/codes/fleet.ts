import { defineCodes } from './define.js';

export const fleetCodes = defineCodes({
  ENROL_TOKEN_INVALID: {
    fault: 'caller',
    status: 'UNAUTHENTICATED',
    summary: 'The enrolment token is unknown, expired, revoked or used up.',
    action: 'Create a new token with `skerry token create` and enrol with it.',
  },
  ENROL_TOKEN_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'There is no enrolment token with this id.',
    action: 'List the tokens with `skerry token list`.',
  },
  ENROL_PROOF_INVALID: {
    fault: 'caller',
    status: 'UNAUTHENTICATED',
    summary: 'The signature of the enrolment request does not match the public key.',
    action: 'Enrol again. If it repeats, compare the releases of agent and hub.',
  },
  DEVICE_ID_TAKEN: {
    fault: 'caller',
    status: 'ALREADY_EXISTS',
    summary: 'A device with another key already has this name.',
    action:
      'Choose another name. To give the name to a new machine or card, run `skerry device replace NAME` and enrol with the token it prints.',
  },
  ENROL_TOKEN_BOUND: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The enrolment token is for another device name.',
    action:
      'Enrol with the name in the message, or without --name. For other devices, create a token with `skerry token create enrolment`.',
  },
  DEVICE_REPLACED: {
    fault: 'caller',
    status: 'PERMISSION_DENIED',
    summary: 'The key of this machine was replaced: another machine has its name now.',
    action: 'Enrol this machine with an empty data folder, which creates a new key, and another name.',
  },
  DEVICE_ONLINE: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The device to replace is connected, and replacing it would disconnect it.',
    action: 'Check the name. If you want to replace the connected machine, add --force.',
  },
  DEVICE_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'There is no device with this name.',
    action: 'List the devices with `skerry device list`.',
  },
  DEVICE_REVOKED: {
    fault: 'caller',
    status: 'PERMISSION_DENIED',
    summary: 'The device was removed from the fleet.',
    action:
      'Run `skerry device restore NAME` to let the same machine in again, or `skerry device replace NAME` to give its name to a new key.',
  },
  DEVICE_COPIED: {
    fault: 'environment',
    status: 'FAILED_PRECONDITION',
    summary: 'Two devices use the same name and key: one data folder or card was copied.',
    action:
      'Give one of them a name of its own with `skerry-agent enroll --force --new-key --name NAME`, then run `skerry device settle DEVICE` (docs/OPERATIONS.md, "Cloned devices").',
  },
  DEVICE_COPY_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'The given name matches no copy of the device, or several.',
    action: 'Name one copy as `skerry device show DEVICE` lists it: by its host name or the first characters of its start.',
  },
  LABEL_TIME_ZONE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The label skerry/time-zone is not a time zone. Rollout windows in device time need one.',
    action: 'Write a name of the IANA time zone database with "." in place of "/", such as skerry/time-zone=Europe.Berlin.',
  },
  DEPLOYMENT_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'There is no deployment with this number.',
    action: 'List the deployments with `skerry deployment list`.',
  },
  DESIRED_TOO_LARGE: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The desired state of a device would name too many models.',
    action: 'Narrow the selector, or remove unused models from the device (`skerry undeploy`).',
  },
  BROKER_OFFLINE: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The hub is not connected to its MQTT broker.',
    action: 'If it is short, nothing: the hub reconnects and publishes again. Otherwise check the broker.',
  },
  BROKER_LISTEN_FAILED: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'The embedded broker could not listen on its address.',
    action: 'Stop the program that uses the port, or choose another with --mqtt-port (0 picks a free one).',
  },
  BLOB_FORBIDDEN: {
    fault: 'caller',
    status: 'PERMISSION_DENIED',
    summary: 'A device requested a manifest or artifact that none of its desired states names.',
    action: 'Deploy the version to this device first. The device retries with its next desired state.',
  },
  BLOB_UNKNOWN: {
    fault: 'peer',
    status: 'NOT_FOUND',
    summary: 'The hub does not have the blob that a device requested.',
    action: 'Publish the version again if its artifacts were removed. The device retries with its next desired state.',
  },
  BLOB_PIECES_MISMATCH: {
    fault: 'peer',
    status: 'INVALID_ARGUMENT',
    summary: 'A fetch request has a different number of pieces than the blob.',
    action: 'Update the agent: it splits the blob differently than the manifest says.',
  },
});
