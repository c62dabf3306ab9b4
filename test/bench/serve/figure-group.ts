import type { Figure } from '../figure.js';
import type { LoadClient } from './load.js';

export interface GroupContext {
  readonly client: LoadClient;
  /** Share of the usual length of a measurement: 1, or less for a quick look. */
  readonly scale: number;
  /** Predictions of a soak. */
  readonly soak: number;
}

/** Figures that belong together and are measured in one run, in turns with what they are compared with. */
export interface FigureGroup {
  readonly name: string;
  /** One sentence for the page of figures. */
  readonly what: string;
  /** Measured only where it is asked for: it takes long, or installs something. */
  readonly isLong?: true;
  readonly measure: (context: GroupContext) => Promise<readonly Figure[]>;
}
