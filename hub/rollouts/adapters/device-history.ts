import { ROWS } from '#shared/signals/rows.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS } from '#shared/signals/table.js';
import type { StoredBaseline } from './baseline-text.js';
import { sketchOf, talliesOf } from './measured-window.js';
import { type Needs, signalsOf } from './needs.js';

/** What was done with the old version before a rollout, by one device or by all of them, merged. */
export class DeviceHistory {
  readonly #needs: Needs;
  readonly #sums = new Sums(SIGNALS);

  constructor(needs: Needs) {
    this.#needs = needs;
  }

  add(sums: Sums): void {
    this.#sums.merge(sums, signalsOf(this.#needs));
  }

  merge(other: DeviceHistory): void {
    this.add(other.#sums);
  }

  /** What later reports are measured against: counts, and the quantiles gates ask for. `undefined` for no history. */
  baseline(): StoredBaseline | undefined {
    const sums = this.#sums;
    if ((sums.of(ROWS.predictions) ?? 0) === 0 && (sums.of(ROWS.watched) ?? 0) === 0) return undefined;
    const tallies: StoredBaseline['tallies'] = {};
    for (const [name, tally] of Object.entries(talliesOf(sums, this.#needs))) if (tally) tallies[name] = [tally.events, tally.exposure];
    const values: StoredBaseline['values'] = {};
    for (const [key, wanted] of this.#needs.quantiles) {
      const sketch = sketchOf(sums, this.#needs, key);
      if (sketch !== undefined) values[key] = Object.fromEntries([...wanted].map((q) => [String(q), sketch.quantile(q) ?? 0]));
    }
    return { tallies, values };
  }
}
