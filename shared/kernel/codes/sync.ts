import { defineCodes } from './define.js';

export const syncCodes = defineCodes({
  SYNC_OFFLINE: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The device is not connected to its broker.',
    action: 'Nothing: it reconnects automatically and predicts meanwhile. If it repeats, run `skerry-agent status`.',
  },
  SYNC_REFUSED: {
    fault: 'peer',
    status: 'PERMISSION_DENIED',
    summary: 'The broker refused the connection or a required subscription.',
    action: 'Check that the device is not removed, and check the topic rules of the broker. Enrol again if the credentials are lost.',
  },
  SYNC_FETCH_TIMEOUT: {
    fault: 'peer',
    status: 'DEADLINE_EXCEEDED',
    summary: 'The hub did not answer the requests for the missing chunks of a file.',
    action: 'Nothing: the device retries later and resumes the download. If it repeats, check the hub.',
  },
  SYNC_NOT_ENROLLED: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The data folder holds no device identity.',
    action: 'Run `skerry-agent enroll --hub URL --token TOKEN` with the same data folder first.',
  },
  SYNC_ALREADY_ENROLLED: {
    fault: 'caller',
    status: 'ALREADY_EXISTS',
    summary: 'The data folder already holds a device identity.',
    action: 'Use it, choose another data folder, or add --force to replace it.',
  },
  SYNC_FLEET_MISMATCH: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The data folder belongs to a device of another fleet.',
    action: 'Enrol with an empty data folder (--data).',
  },
  SYNC_ENROLL_FAILED: {
    fault: 'peer',
    status: 'UNAVAILABLE',
    http: 502,
    summary: 'The hub could not be reached for enrolment, or its answer was invalid.',
    action: 'Check the URL and certificate of the hub, and that it runs. The token is still valid.',
  },
  SYNC_IDENTITY_CORRUPT: {
    fault: 'environment',
    status: 'DATA_LOSS',
    summary: 'The identity file cannot be read. It is not replaced.',
    action: 'Restore it from a backup, or enrol the device again with --force.',
  },
  AGENT_NOT_RUNNING: {
    fault: 'caller',
    status: 'UNAVAILABLE',
    summary: 'No agent is running with this data folder, or it does not answer.',
    action: 'Start it with `skerry-agent run`, or name its data folder with --data.',
  },
  AGENT_NO_ANSWER: {
    fault: 'environment',
    status: 'DEADLINE_EXCEEDED',
    summary: 'The agent is running but did not answer in time.',
    action: 'Check its log and the load of the device. For long predictions, raise `skerry-agent predict --timeout`.',
  },
});
