import { defineCodes } from './define.js';

export const bundleCodes = defineCodes({
  BUNDLE_CHUNK_MISMATCH: {
    fault: 'peer',
    http: 422,
    summary: 'A chunk does not have the digest the signed manifest gives it.',
    action: 'Nothing on the device: the chunk was thrown away; check the storage of the hub for damage or tampering.',
  },
  BUNDLE_DIGEST_MISMATCH: {
    fault: 'peer',
    http: 422,
    summary: 'A file does not have the digest by which it was asked for.',
    action: 'Nothing on the device: the file was thrown away; check the storage of the hub for damage or tampering.',
  },
});
