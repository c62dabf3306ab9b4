import { defineCodes } from './define.js';

export const kernelCodes = defineCodes({
  INPUT_SCHEMA: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The input does not match its schema; every bad path is listed in the details.',
    action: 'Correct the listed paths and send the input again.',
  },
  INPUT_TOO_LARGE: {
    fault: 'caller',
    status: 'RESOURCE_EXHAUSTED',
    http: 413,
    summary: 'The input exceeds a maximum size.',
    action: 'Send less, or raise the setting that the message names.',
  },
  FORMAT_NEWER: {
    fault: 'environment',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The document has a newer format than this release of Skerry reads.',
    action: 'Use the release that wrote it, or a later one. Nothing is damaged.',
  },
  FEATURE_MISSING: {
    fault: 'environment',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The version or desired state needs features that this release of Skerry does not have.',
    action: 'Update the Skerry program that reports this. The version is not at fault and is retried after the update.',
  },
  PEER_ERROR: {
    fault: 'peer',
    status: 'UNAVAILABLE',
    http: 502,
    summary: 'The other side reported an error code that this release of Skerry does not know.',
    action: 'Follow the advice in the message, or use the same release on both sides.',
  },
  INTERNAL: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'An error that should never occur occurred.',
    action: 'Report it as a bug, with the log lines around it.',
  },
  CLOSED: {
    fault: 'caller',
    status: 'UNAVAILABLE',
    summary: 'The component is closed or closing.',
    action: 'Retry when it runs again.',
  },
  TIMEOUT: {
    fault: 'peer',
    status: 'DEADLINE_EXCEEDED',
    summary: 'The operation timed out.',
    action: 'Retry. If it repeats, check the component that the message names.',
  },
  ABORTED: {
    fault: 'caller',
    status: 'CANCELLED',
    summary: 'The operation was cancelled by its caller.',
    action: 'Nothing. Start it again if you still need the result.',
  },
  DISK_FULL: {
    fault: 'environment',
    status: 'RESOURCE_EXHAUSTED',
    http: 507,
    summary: 'The disk or its quota is full.',
    action: 'Free disk space or raise the budget. What serves keeps serving.',
  },
  IO_FAILED: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'A file could not be read or written.',
    action: 'Check the permissions and the health of the disk that the message names.',
  },
  CONFIG_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A setting is missing or has an invalid value.',
    action: 'Correct the setting that the message names.',
  },
  CLI_USAGE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The command got invalid arguments.',
    action: 'Run the command with --help to see its arguments.',
  },
});
