// Gates as documents say them, defaults filled in.

/** Devices of the wave that could not take the version up. */
interface InstallGate {
  readonly gate: 'install';
  readonly atMost: number;
}

/**
 * Speed at which an error budget is used up: `factor` times too fast over a long and a short time both, for any of the windows (Google
 * SRE Workbook, chapter 5, "multiwindow, multi-burn-rate alerts"). Below `predictions` in a long time it says nothing.
 */
export interface BurnGate {
  readonly gate: 'burn';
  readonly objective: number;
  readonly windows: readonly { readonly long: number; readonly short: number; readonly factor: number }[];
  readonly predictions: number;
}

/** Comparison of a rate with the control's; a rate up to `negligible` passes without one. */
interface RateGate {
  readonly gate: string;
  readonly tolerate: number;
  readonly ruleOut: number;
  readonly negligible: number;
}

/** Comparison of a quantile with the control's; `name` for numbers the application reports. */
interface QuantileGate {
  readonly gate: string;
  readonly name?: string | undefined;
  readonly quantile: number;
  readonly tolerate: number;
  readonly ruleOut: number;
}

/** A rate or a distance of outputs within limits of its own. */
interface ShareGate {
  readonly gate: string;
  readonly atMost: number;
  readonly ruleOut: number;
}

/** A fixed limit on any signal, whatever the devices on the old version do. */
export interface LimitGate {
  readonly gate: 'limit';
  readonly of: string;
  readonly name?: string | undefined;
  readonly quantile?: number | undefined;
  readonly atMost?: number | undefined;
  readonly atLeast?: number | undefined;
  readonly ruleOut?: number | undefined;
}

export type Gate = InstallGate | BurnGate | LimitGate | RateGate | QuantileGate | ShareGate;
