import { defineCodes } from './define.js';

export const syncCodes = defineCodes({
  SYNC_OFFLINE: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The device has no connection to its broker.',
    action: 'Nothing: it reconnects by itself and predicts meanwhile; if it repeats, look at `skerry-agent status`.',
  },
  SYNC_REFUSED: {
    fault: 'peer',
    status: 'PERMISSION_DENIED',
    summary: 'The broker refused the connection, or a subscription the device cannot do without.',
    action: 'Check that the device is not revoked, and the topic rules of the broker; enrol again if its credentials are gone.',
  },
  SYNC_FETCH_SILENT: {
    fault: 'peer',
    status: 'DEADLINE_EXCEEDED',
    summary: 'The hub did not answer the requests for the missing pieces of a file.',
    action: 'Nothing: it is tried again later, from where it stopped; check the hub if it repeats.',
  },
  SYNC_NOT_ENROLLED: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'This data folder holds no identity.',
    action: 'Run `skerry-agent enroll --hub URL --token TOKEN` with the same data folder first.',
  },
  SYNC_ALREADY_ENROLLED: {
    fault: 'caller',
    status: 'ALREADY_EXISTS',
    summary: 'This data folder already holds an identity.',
    action: 'Use it as it is, choose another data folder, or add --force to replace it.',
  },
  SYNC_OTHER_FLEET: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The data folder belongs to a device of another fleet.',
    action: 'Enrol with an empty data folder: --data names one.',
  },
  SYNC_ENROLL_FAILED: {
    fault: 'peer',
    status: 'UNAVAILABLE',
    http: 502,
    summary: 'The hub could not be reached for enrolment, or gave an answer that is not one.',
    action: 'Check the URL of the hub, its certificate and that it runs; the token is still good.',
  },
  SYNC_IDENTITY_CORRUPT: {
    fault: 'environment',
    status: 'DATA_LOSS',
    summary: 'The identity file cannot be read; it is not replaced by another.',
    action: 'Restore it from a backup, or enrol the device again with --force.',
  },
  AGENT_NOT_RUNNING: {
    fault: 'caller',
    status: 'UNAVAILABLE',
    summary: 'No agent runs with this data folder, or it does not answer.',
    action: 'Start it with `skerry-agent run`, or name its folder with --data.',
  },
  AGENT_NO_ANSWER: {
    fault: 'environment',
    status: 'DEADLINE_EXCEEDED',
    summary: 'The agent runs, and did not answer a command in its time.',
    action: 'Look at its log and at how busy the device is; give a long prediction more time with `skerry-agent predict --timeout`.',
  },
});
