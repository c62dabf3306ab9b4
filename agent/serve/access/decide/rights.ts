import type { CallGroup, CallKind } from '../../requests.js';
import { matchesGlob } from './glob.js';

/** A right: these calls, for models whose names match one of the globs. */
export interface Grant {
  readonly calls: ReadonlySet<CallGroup>;
  readonly models: readonly string[];
}

/** Calls that concern the whole agent: only a right for all models covers them. */
const WHOLE_AGENT: ReadonlySet<CallKind> = new Set<CallGroup>(['management', 'settings', 'shared-memory']);

/** Why a call is refused: no right names such calls, or none that does covers the model. */
export type Refusal = 'call' | 'model';

/**
 * What speaks against a call; `undefined` when nothing does. A call whose model is not known yet needs a right for some model: it is asked
 * about again with the model. What no API takes is answered as such, whoever asks.
 */
export function refusalOf(grants: readonly Grant[], call: CallKind, model: string | undefined): Refusal | undefined {
  if (call === 'unknown') return undefined;
  let isNamed = false;
  for (const { calls, models } of grants) {
    if (!calls.has(call)) continue;
    isNamed = true;
    if (covers(models, call, model)) return undefined;
  }
  return isNamed ? 'model' : 'call';
}

function covers(models: readonly string[], call: CallKind, model: string | undefined): boolean {
  if (WHOLE_AGENT.has(call)) return models.includes('*');
  return model === undefined || models.some((glob) => glob === '*' || matchesGlob(glob, model));
}
