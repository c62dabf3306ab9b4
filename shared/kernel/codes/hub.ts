import { defineCodes } from './define.js';

export const hubCodes = defineCodes({
  HUB_CLOCK_SUSPECT: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The clock of the hub jumped, or stands far from those of its devices; nothing is signed until it is known to be right.',
    action: 'Set the clock; if it is right, say so with `skerry hub clock --confirm` (docs/OPERATIONS.md, "Clocks").',
  },
  HUB_DATABASE_FAILED: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: "The hub's database could not be opened, migrated or used.",
    action: 'Check the disk and the permissions of the data folder; restore it from a backup if the file is damaged.',
  },
  HUB_DATABASE_NEWER: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'A later release of the hub migrated the database; this one cannot read it. Nothing is damaged.',
    action: 'Use the release that the message names, or a later one. Do not restore a backup for this.',
  },
  HUB_DATA_IN_USE: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'Another hub process is running on this data folder.',
    action: 'Stop the other process, or give this one a data folder of its own with --data.',
  },
  HUB_MOSQUITTO_GROUP: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'The files for an external mosquitto could not be given to the group that mosquitto reads them as.',
    action:
      'Make the hub\'s user a member of that group, or make the folder as docs/OPERATIONS.md shows ("An external mosquitto"), and start the hub again.',
  },
  HUB_KEYS_LOCKED: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: "The hub's keys could not be opened with the passphrase or key file given.",
    action: 'Give the passphrase or key file they were sealed with; without it the hub cannot sign.',
  },
  HUB_LISTEN_FAILED: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The HTTP server could not listen on its address.',
    action: 'Stop the program that has the port, or choose another with --http-port (0 takes any free one).',
  },
  API_UNAUTHENTICATED: {
    fault: 'caller',
    status: 'UNAUTHENTICATED',
    summary: 'The request carries no valid token.',
    action: 'Send "Authorization: Bearer TOKEN" with a token that is neither revoked nor expired; `skerry login` keeps one.',
  },
  API_FORBIDDEN: {
    fault: 'caller',
    status: 'PERMISSION_DENIED',
    summary: "The token's role may not do this.",
    action: 'Use a token of one of the roles named in the message.',
  },
  API_RATE_LIMITED: {
    fault: 'caller',
    status: 'RESOURCE_EXHAUSTED',
    summary: 'Too many failed attempts to sign in came from this address.',
    action: 'Wait for the time given in the Retry-After header, then use a valid token.',
  },
  API_NOT_FOUND: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'No such route or resource.',
    action: 'Compare the path with the OpenAPI document at /api/v1/openapi.json.',
  },
  API_BAD_REQUEST: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The request could not be read as HTTP with a body of the announced type.',
    action: 'Correct the request; the message says what could not be read.',
  },
  TOKEN_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'There is no token with this id.',
    action: 'List the tokens with `skerry token list`.',
  },
  MODEL_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'The hub has no model of this name.',
    action: 'List the models with `skerry model list`, or publish it first.',
  },
  VERSION_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'The model has no version of this number.',
    action: 'List the versions with `skerry model show MODEL`.',
  },
  VERSION_CONFLICT: {
    fault: 'caller',
    status: 'ALREADY_EXISTS',
    summary: 'This version number is taken by other content.',
    action: 'Publish the new content under the next version number; a version never changes.',
  },
  VERSION_NOT_NEWER: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The version number is not above the newest one of the model; numbers only grow.',
    action: 'Publish with a number above the one named in the message.',
  },
  VERSION_DELETED: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The version was deleted; its number is never used again.',
    action: 'Publish the content under a new number.',
  },
  VERSION_IN_USE: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary:
      'The version is still needed: by deployments that count, by rollouts under way, or by devices that are to run it or still have it. The details name them.',
    action:
      'Withdraw the deployments (`skerry deployment remove`), end the rollouts, and give the devices another version or take the model off them (`skerry undeploy`). A device that is gone for good no longer counts once it is removed.',
  },
  ARTIFACT_MISSING: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The manifest names artifacts that the hub does not have with that length.',
    action: 'Upload the artifacts named in the details, then publish again.',
  },
  ARTIFACT_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'The hub has no artifact with this digest.',
    action: 'Upload it, or check the digest.',
  },
  ARTIFACT_DIGEST_MISMATCH: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The bytes received do not have the digest they were announced with; nothing was kept.',
    action: 'Upload the file again; if it repeats, the file changed while it was read.',
  },
  ARTIFACT_TRUNCATED: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The upload ended before all announced bytes had come; nothing was kept.',
    action: 'Upload the file again.',
  },
  MANIFEST_MISMATCH: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The manifest does not fit what was announced, signed or uploaded; the message names the check.',
    action: 'Publish again with `skerry publish`, which makes manifest, chunks and signature fit.',
  },
  HUB_UNREACHABLE: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The hub did not answer at the address given.',
    action: 'Check that the hub runs and that --hub or SKERRY_HUB names its address.',
  },
  HUB_ANSWER_MALFORMED: {
    fault: 'peer',
    status: 'UNAVAILABLE',
    http: 502,
    summary: 'The hub answered something that is not what this program expects.',
    action: 'Check that the address is a Skerry hub and that both have fitting versions.',
  },
  LOGIN_MISSING: {
    fault: 'caller',
    status: 'UNAUTHENTICATED',
    summary: 'No hub address or token is known.',
    action: 'Run `skerry login --hub URL --token TOKEN`, or set SKERRY_HUB and SKERRY_TOKEN.',
  },
  DEPLOY_INCOMPLETE: {
    fault: 'peer',
    status: 'DEADLINE_EXCEEDED',
    summary: 'Not every device serves the version yet.',
    action: 'Look at `skerry device show` of the devices named; silent ones take it when they return.',
  },
});
