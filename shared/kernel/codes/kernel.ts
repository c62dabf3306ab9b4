import { defineCodes } from './define.js';

export const kernelCodes = defineCodes({
  INPUT_SCHEMA: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The input does not match its schema; every bad path is listed in the details.',
    action: 'Correct the listed paths and send it again.',
  },
  INPUT_TOO_LARGE: {
    fault: 'caller',
    status: 'RESOURCE_EXHAUSTED',
    http: 413,
    summary: 'The input is larger than the named maximum.',
    action: 'Send less, or raise the named setting where the message gives one.',
  },
  FORMAT_NEWER: {
    fault: 'environment',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The document has a newer format than this release of Skerry reads.',
    action: 'Use the release that wrote it, or a later one; nothing is damaged.',
  },
  FEATURE_MISSING: {
    fault: 'environment',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The version or desired state needs features that this release of Skerry does not have.',
    action: 'Update Skerry where the message comes from; the version is not at fault and is tried again after the update.',
  },
  PEER_ERROR: {
    fault: 'peer',
    status: 'UNAVAILABLE',
    http: 502,
    summary: 'The other side reported an error with a code that this release of Skerry does not know.',
    action: 'Follow the advice in the message, or use the release of the other side.',
  },
  INTERNAL: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'Something failed that should not be able to.',
    action: 'Report it with the log lines around it.',
  },
  CLOSED: {
    fault: 'caller',
    status: 'UNAVAILABLE',
    summary: 'The component is closed or closing.',
    action: 'Retry once it is running again.',
  },
  TIMEOUT: {
    fault: 'peer',
    status: 'DEADLINE_EXCEEDED',
    summary: 'The operation did not finish in its time.',
    action: 'Retry; if it repeats, look at the component named in the message.',
  },
  ABORTED: {
    fault: 'caller',
    status: 'CANCELLED',
    summary: 'The operation was cancelled by its caller.',
    action: 'Nothing; start it again if it is still wanted.',
  },
  DISK_FULL: {
    fault: 'environment',
    status: 'RESOURCE_EXHAUSTED',
    http: 507,
    summary: 'The disk or its quota is full.',
    action: 'Free space or raise the budget; what serves keeps serving meanwhile.',
  },
  IO_FAILED: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'A file could not be read or written.',
    action: 'Check permissions and the health of the disk named in the message.',
  },
  CONFIG_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A setting is missing or has a value that cannot be used.',
    action: 'Correct the setting named in the message.',
  },
  CLI_USAGE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The command was called with arguments it does not accept.',
    action: 'Run it again with --help to see what it accepts.',
  },
});
