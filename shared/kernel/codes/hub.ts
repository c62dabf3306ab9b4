import { defineCodes } from './define.js';

export const hubCodes = defineCodes({
  HUB_CLOCK_SUSPECT: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The clock of the hub jumped, or differs from the clocks of its devices. The hub signs nothing until the clock is confirmed.',
    action: 'Set the clock. If it is right, run `skerry hub clock --confirm` (docs/OPERATIONS.md, "Clocks").',
  },
  HUB_DATABASE_FAILED: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: "The hub's database could not be opened, migrated or used.",
    action: 'Check the disk and the permissions of the data folder. Restore the database from a backup if it is damaged.',
  },
  HUB_DATABASE_NEWER: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'A newer release of the hub migrated the database, and this one cannot read it. Nothing is damaged.',
    action: 'Use the release that the message names, or a later one. Do not restore a backup.',
  },
  HUB_DATA_IN_USE: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'Another hub process uses this data folder.',
    action: 'Stop the other process, or use a separate data folder with --data.',
  },
  HUB_MOSQUITTO_GROUP: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'The hub could not assign the files for an external mosquitto to the group that mosquitto reads them as.',
    action:
      'Add the user of the hub to that group, or create the folder as docs/OPERATIONS.md shows ("An external mosquitto"). Then start the hub again.',
  },
  HUB_KEYS_LOCKED: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: "The passphrase or key file does not decrypt the hub's keys.",
    action: 'Use the passphrase or key file that the keys were encrypted with. Without it the hub cannot sign.',
  },
  HUB_LISTEN_FAILED: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The HTTP server could not listen on its address.',
    action: 'Stop the program that uses the port, or choose another with --http-port (0 picks a free one).',
  },
  API_UNAUTHENTICATED: {
    fault: 'caller',
    status: 'UNAUTHENTICATED',
    summary: 'The request has no valid token.',
    action: 'Send "Authorization: Bearer TOKEN" with a valid token; `skerry login` saves one.',
  },
  API_FORBIDDEN: {
    fault: 'caller',
    status: 'PERMISSION_DENIED',
    summary: 'The role of the token does not allow this.',
    action: 'Use a token of a role that the message names.',
  },
  API_RATE_LIMITED: {
    fault: 'caller',
    status: 'RESOURCE_EXHAUSTED',
    summary: 'There were too many failed sign-ins from this address.',
    action: 'Wait for the time in the Retry-After header, then use a valid token.',
  },
  API_NOT_FOUND: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'There is no such route or resource.',
    action: 'Compare the path with the OpenAPI document at /api/v1/openapi.json.',
  },
  API_BAD_REQUEST: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The request is not readable HTTP with a body of the announced type.',
    action: 'Correct the request. The message names the problem.',
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
    summary: 'The hub has no model with this name.',
    action: 'List the models with `skerry model list`, or publish the model first.',
  },
  VERSION_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'The model has no version with this number.',
    action: 'List the versions with `skerry model show MODEL`.',
  },
  VERSION_CONFLICT: {
    fault: 'caller',
    status: 'ALREADY_EXISTS',
    summary: 'The version number exists already, with different content.',
    action: 'Publish the new content under the next version number. A version never changes.',
  },
  VERSION_NOT_NEWER: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The version number is not above the newest version of the model.',
    action: 'Publish with a number above the one that the message names.',
  },
  VERSION_DELETED: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The version was deleted. Its number is never used again.',
    action: 'Publish the content under a new number.',
  },
  VERSION_NEWEST: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The version is the newest one of its model, which cannot be retired.',
    action: 'Publish a newer version first.',
  },
  VERSION_IN_USE: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary:
      'The version is in use: by active deployments, running rollouts, or devices that should run it or still have it. The details name them.',
    action:
      'Withdraw the deployments (`skerry deployment remove`), end the rollouts, and deploy another version or undeploy the model. Devices that never return stop counting once you remove them.',
  },
  ARTIFACT_MISSING: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The manifest names artifacts that the hub does not have, or has with another length.',
    action: 'Upload the artifacts that the details name, then publish again.',
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
    summary: 'The received bytes do not match their announced digest. Nothing was kept.',
    action: 'Upload the file again. If it repeats, the file changes while it is read.',
  },
  ARTIFACT_TRUNCATED: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The upload ended before all announced bytes arrived. Nothing was kept.',
    action: 'Upload the file again.',
  },
  MANIFEST_MISMATCH: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The manifest does not match what was announced, signed or uploaded. The message names the failed check.',
    action: 'Publish again with `skerry publish`, which creates a matching manifest, chunks and signature.',
  },
  HUB_UNREACHABLE: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The hub did not answer at this address.',
    action: 'Check that the hub runs and that --hub or SKERRY_HUB names its address.',
  },
  HUB_ANSWER_MALFORMED: {
    fault: 'peer',
    status: 'UNAVAILABLE',
    http: 502,
    summary: 'The answer of the hub is not in the expected form.',
    action: 'Check that the address is that of a Skerry hub, and compare the releases of both programs.',
  },
  LOGIN_MISSING: {
    fault: 'caller',
    status: 'UNAUTHENTICATED',
    summary: 'No address of a hub or no token is known.',
    action: 'Run `skerry login --hub URL --token TOKEN`, or set SKERRY_HUB and SKERRY_TOKEN.',
  },
  DEPLOY_INCOMPLETE: {
    fault: 'peer',
    status: 'DEADLINE_EXCEEDED',
    summary: 'Not every device serves the version yet.',
    action: 'Run `skerry device show` for the devices that the message names. Offline devices install the version when they return.',
  },
});
