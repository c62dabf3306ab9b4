import type { Figure } from '../figure.js';
import { latency } from './latency.js';
import type { LoadClient } from './load.js';
import { dialects } from './other-dialects.js';
import { throughput } from './throughput.js';

export interface GroupContext {
  readonly client: LoadClient;
  /** Share of the usual length of a measurement: 1, or less for a quick look. */
  readonly scale: number;
}

/** Figures that belong together and are measured in one run, in turns with what they are compared with. */
export interface FigureGroup {
  readonly name: string;
  /** One sentence for the help text and the page of figures. */
  readonly what: string;
  readonly measure: (context: GroupContext) => Promise<readonly Figure[]>;
}

/** One row for each group. */
export const GROUPS: readonly FigureGroup[] = [latency, throughput, dialects];
