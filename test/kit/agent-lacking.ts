import { FEATURES } from '#shared/bundle/features.js';
import { LACKS_VARIABLE } from './faults.js';

// `skerry-agent`, as an earlier release would be: without the features that LACKS names.

const lacks = new Set((process.env[LACKS_VARIABLE] ?? '').split(','));
const known = FEATURES as string[];
known.splice(0, known.length, ...known.filter((feature) => !lacks.has(feature)));
await import('#agent/main.js');
