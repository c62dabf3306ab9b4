import { NEAR_LIMIT } from './decide/alerts.js';
import type { GateResult } from './decide/gates/result.js';

/** Which gates of one rollout came near to failing; each is worth one word a wave. */
export class NearLimit {
  readonly #said = new Set<string>();

  /** Reasons of those not given before. */
  reasons(wave: number, results: readonly GateResult[]): string[] {
    return results.flatMap(({ gate, alarm, reason }) => {
      const key = `${wave}/${gate}`;
      if (alarm < NEAR_LIMIT || alarm >= 1 || this.#said.has(key)) return [];
      this.#said.add(key);
      return [`${gate}: ${reason}`];
    });
  }
}
