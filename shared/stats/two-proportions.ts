import { requireAtLeast } from './arguments.js';

/** One block of outcomes of both groups, in the order they came. */
export interface ProportionBlock {
  readonly canaryEvents: number;
  readonly canaryTrials: number;
  readonly controlEvents: number;
  readonly controlTrials: number;
}

/** Prior successes and failures of each group (the default of the paper: 0.18). */
const PRIOR = 0.18;

/**
 * ln of the e-value against "both groups have the same proportion", growing when the canary's is the larger one.
 * Source: R. J. Turner, A. Ly, P. D. Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for
 * optional stopping", 2021 (section 3: per block, the estimates so far against their weighted mean). Exact for Bernoulli
 * outcomes at any block sizes and any stopping rule. Throws `STATS_ARGUMENT` for more events than trials.
 */
export function twoProportionsEvidence(blocks: readonly ProportionBlock[]): number {
  let evidence = 0;
  const seen = { canaryEvents: PRIOR, canaryTrials: 2 * PRIOR, controlEvents: PRIOR, controlTrials: 2 * PRIOR };
  for (const block of blocks) {
    check(block);
    const trials = block.canaryTrials + block.controlTrials;
    const canary = seen.canaryEvents / seen.canaryTrials;
    const control = seen.controlEvents / seen.controlTrials;
    if (trials > 0 && canary > control) {
      const both = (block.canaryTrials * canary + block.controlTrials * control) / trials;
      evidence +=
        logBernoulli(block.canaryEvents, block.canaryTrials, canary) + logBernoulli(block.controlEvents, block.controlTrials, control);
      evidence -= logBernoulli(block.canaryEvents + block.controlEvents, trials, both);
    }
    seen.canaryEvents += block.canaryEvents;
    seen.canaryTrials += block.canaryTrials;
    seen.controlEvents += block.controlEvents;
    seen.controlTrials += block.controlTrials;
  }
  return evidence;
}

function logBernoulli(events: number, trials: number, p: number): number {
  return events * Math.log(p) + (trials - events) * Math.log1p(-p);
}

function check(block: ProportionBlock): void {
  requireAtLeast(block.canaryEvents, 0, 'canaryEvents');
  requireAtLeast(block.controlEvents, 0, 'controlEvents');
  requireAtLeast(block.canaryTrials, block.canaryEvents, 'canaryTrials');
  requireAtLeast(block.controlTrials, block.controlEvents, 'controlTrials');
}
