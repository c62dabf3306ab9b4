import { defineCodes } from './define.js';

export const storeCodes = defineCodes({
  STORE_CORRUPT: {
    fault: 'environment',
    status: 'DATA_LOSS',
    summary: 'The database of the agent failed its integrity check and was moved aside. Readable data was copied to a new database.',
    action: 'Check the disk. Keep the moved file for diagnosis, then delete it.',
  },
  STORE_LOCKED: {
    fault: 'caller',
    status: 'ABORTED',
    summary: 'Another process uses the data folder of the agent.',
    action: 'Stop the other agent, or use a separate data folder.',
  },
  STORE_NEWER: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The database was written by a newer agent.',
    action: 'Install that agent release or a later one, or use an empty data folder and enrol again.',
  },
  STORE_READ_ONLY: {
    fault: 'environment',
    status: 'RESOURCE_EXHAUSTED',
    http: 507,
    summary: 'The disk of the agent is read-only. The agent serves what it has and stores nothing new.',
    action: 'Find the reason in the kernel log, repair or replace the disk, mount it writable and restart the agent.',
  },
  STORE_ROLLED_BACK: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'A newer agent had migrated the database. After the rollback of the agent, the copy from before the migration is used.',
    action: 'Nothing: the agent copied what the newer agent added, as far as it knows it.',
  },
  STORE_FAILED: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'The store thread of the agent ended or could not start.',
    action: 'Nothing: the agent ends and its supervisor restarts it. If it repeats, check the log lines before it.',
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
    action: 'Nothing: a version that needs the file fetches it again.',
  },
  STORE_BLOB_CORRUPT: {
    fault: 'environment',
    status: 'DATA_LOSS',
    summary: 'A file in the model cache does not match its digest.',
    action: 'Nothing: it is fetched again. If it repeats, check the disk of the device.',
  },
  STORE_BLOB_BUSY: {
    fault: 'caller',
    status: 'ABORTED',
    summary: 'Another part of this process is already downloading the file.',
    action: 'Wait for that download.',
  },
});
