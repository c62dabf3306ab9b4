import type { FigureGroup } from './figure-group.js';
import { batching } from './batching.js';
import { health } from './health.js';
import { large } from './large.js';
import { latency } from './latency.js';
import { dialects } from './other-dialects.js';
import { peers } from './peers.js';
import { soak } from './soak.js';
import { switches } from './switching.js';
import { throughput } from './throughput.js';

/** One row for each group. */
export const GROUPS: readonly FigureGroup[] = [latency, throughput, dialects, large, health, batching, switches, soak, peers];
