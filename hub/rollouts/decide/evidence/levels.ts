import type { LevelRule } from '../gate-rule.js';
import { type DeviceWindow, type Distribution, valuesKey } from './window.js';

/** Values of a window beyond a fixed limit, beyond what has to be ruled out, and all of them. */
interface LevelReading {
  readonly limited: number;
  readonly beyond: number;
  readonly values: number;
}

export type LevelReader = (window: DeviceWindow) => LevelReading | undefined;

export function levelReader({ signal, name, side, limit, ruleOut }: LevelRule): LevelReader {
  const key = valuesKey(signal.name, name);
  return (window) => {
    const values = window.values?.[key];
    if (values === undefined || values.count === 0) return undefined;
    return {
      limited: outside(values, side, limit + signal.zero),
      beyond: outside(values, side, ruleOut + signal.zero),
      values: values.count,
    };
  };
}

function outside(values: Distribution, side: LevelRule['side'], limit: number): number {
  const above = values.above(limit);
  return side === 'above' ? above : values.count - above;
}
