import { defineCodes } from './define.js';

export const storeCodes = defineCodes({
  STORE_CORRUPT: {
    fault: 'environment',
    status: 'DATA_LOSS',
    summary: 'The database of the agent failed its integrity check and was moved aside; what could still be read was carried over.',
    action: 'Check the disk; keep the moved file for diagnosis, then delete it.',
  },
  STORE_LOCKED: {
    fault: 'caller',
    status: 'ABORTED',
    summary: 'Another process has the data folder of the agent open.',
    action: 'Stop the other agent, or give this one a folder of its own.',
  },
  STORE_NEWER: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The database was written by a newer agent than this one.',
    action: 'Install that agent version or a later one, or use a fresh data folder and enrol again.',
  },
  STORE_READ_ONLY: {
    fault: 'environment',
    status: 'RESOURCE_EXHAUSTED',
    http: 507,
    summary: 'The disk of the agent takes no writes; it serves what it has, and nothing new is kept.',
    action: 'Look at the log of the kernel for the reason, repair or replace the disk, mount it writable and restart the agent.',
  },
  STORE_TAKEN_BACK: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'A newer agent had migrated the database and made room for this one again; the copy from before is used.',
    action: 'Nothing: what the newer agent added was carried over where this one knows it.',
  },
  STORE_FAILED: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'The store thread of the agent ended or could not start.',
    action: 'The agent ends and its supervisor starts it again; if it repeats, look at the log lines before it.',
  },
  STORE_OVER_BUDGET: {
    fault: 'environment',
    status: 'RESOURCE_EXHAUSTED',
    http: 507,
    summary: 'A download does not fit into the disk budget of the model cache.',
    action: 'Raise the disk budget of the agent, or deploy fewer or smaller versions to it.',
  },
  STORE_BLOB_MISSING: {
    fault: 'ours',
    status: 'NOT_FOUND',
    summary: 'A file is not in the model cache.',
    action: 'Nothing: a version that needs it fetches it again.',
  },
  STORE_BLOB_CORRUPT: {
    fault: 'environment',
    status: 'DATA_LOSS',
    summary: 'A file in the model cache no longer has the digest it is filed under.',
    action: 'Nothing: it is fetched again; if it repeats, check the disk of the device.',
  },
  STORE_BLOB_BUSY: {
    fault: 'caller',
    status: 'ABORTED',
    summary: 'A file is already being downloaded by somebody else in this process.',
    action: 'Wait for that download.',
  },
});
