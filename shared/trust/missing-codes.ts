/** Codes that say that a metadata file, or the director file, is not there. Apart from what reads metadata, which loads TUF code. */
export const MISSING_CODES = [
  'TRUST_ROOT_MISSING',
  'TRUST_TIMESTAMP_MISSING',
  'TRUST_SNAPSHOT_MISSING',
  'TRUST_TARGETS_MISSING',
  'TRUST_DIRECTOR_MISSING',
] as const;
