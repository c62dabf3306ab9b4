import { defineCodes } from './define.js';

export const bundleCodes = defineCodes({
  BUNDLE_MANIFEST_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The manifest of a version does not match its schema or is not in canonical form.',
    action: 'Publish the version again with the publishing tool; the message lists the bad paths.',
  },
  BUNDLE_CHUNK_MISMATCH: {
    fault: 'peer',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'A piece of a file does not have the length or digest it was announced with.',
    action: 'Nothing on the device: it asks for the piece again. If it repeats, look for what alters data on the way.',
  },
  BUNDLE_DIGEST_MISMATCH: {
    fault: 'peer',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'A file does not have the SHA-256 digest or length it was announced with.',
    action: 'Send or fetch it again; if it repeats, the stored copy or the announcement is wrong.',
  },
});
