/** Relative accuracy of every sketch in the project; part of the encoded version. */
const RELATIVE_ACCURACY = 0.01;

/** Bin `i` holds magnitudes in (gamma^(i-1), gamma^i] (DDSketch, section 2.1). */
export const BIN_GAMMA = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY);
const LOG_GAMMA = Math.log(BIN_GAMMA);

/** Smaller magnitudes count as zero. */
export const MIN_MAGNITUDE = 1e-12;
/** Larger magnitudes are refused. */
export const MAX_MAGNITUDE = 1e150;

/** Index of the bin of a magnitude in [MIN_MAGNITUDE, MAX_MAGNITUDE]. */
export function binIndex(magnitude: number): number {
  return Math.ceil(Math.log(magnitude) / LOG_GAMMA);
}

/** The value within RELATIVE_ACCURACY of everything in bin `index` (DDSketch, Lemma 2). */
export function binValue(index: number): number {
  return (2 * BIN_GAMMA ** index) / (BIN_GAMMA + 1);
}

export const MIN_INDEX = binIndex(MIN_MAGNITUDE);
export const MAX_INDEX = binIndex(MAX_MAGNITUDE);
