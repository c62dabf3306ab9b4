import { defineCodes } from './define.js';

export const bundleCodes = defineCodes({
  BUNDLE_MANIFEST_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The manifest of a version does not match its schema or is not in canonical form.',
    action: 'Publish the version again with `skerry publish`. The message lists the invalid paths.',
  },
  BUNDLE_CHUNK_MISMATCH: {
    fault: 'peer',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'A chunk of a file does not match its announced length or digest.',
    action: 'Nothing on the device: it requests the chunk again. If it repeats, find out what alters data between hub and device.',
  },
  BUNDLE_DIGEST_MISMATCH: {
    fault: 'peer',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'A file does not match its announced SHA-256 digest or length.',
    action: 'Send or fetch it again. If it repeats, the stored copy or the announcement is wrong.',
  },
});
