/** Version of hub and agent; equals the one in package.json (a test compares them: a single-file build has no package.json beside it). */
export const SKERRY_VERSION = '0.1.0';
