import type { LevelRule } from '../../gate-document.js';
import type { DeviceWindow, Distribution } from './window.js';

/** Values of a window beyond a fixed limit, beyond what has to be ruled out, and all of them. */
export interface LevelReading {
  readonly limited: number;
  readonly beyond: number;
  readonly values: number;
}

export type LevelReader = (window: DeviceWindow) => LevelReading | undefined;

/** Devices report kelvin, people state degrees Celsius. */
const ZERO_CELSIUS = 273.15;

export function levelReader(rule: LevelRule): LevelReader {
  const { of, name, side } = rule;
  const shift = of === 'temperature' ? ZERO_CELSIUS : 0;
  return (window) => {
    const values = of === 'metric' ? window.metrics?.[name ?? ''] : window[of];
    if (values === undefined || values.count === 0) return undefined;
    return {
      limited: outside(values, side, rule.limit + shift),
      beyond: outside(values, side, rule.ruleOut + shift),
      values: values.count,
    };
  };
}

function outside(values: Distribution, side: LevelRule['side'], limit: number): number {
  const above = values.above(limit);
  return side === 'above' ? above : values.count - above;
}
