import type { Recheck, ShadowResult } from '#agent/inference/contract.js';
import { METRICS_PER_WINDOW, type MetricsWindow, OUTPUTS_PER_WINDOW } from '#shared/protocol/messages.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import type { OutputSample } from './output-sample.js';

interface Shadow {
  compared: number;
  disagreed: number;
  dropped: number;
  readonly maxError: QuantileSketch;
  readonly cost: QuantileSketch;
}

type Said = Pick<MetricsWindow, 'crashes' | 'golden' | 'shadow' | 'feedback' | 'outputs' | 'metrics'>;

/** What is worse than any number there is stands for a comparison with no number in it. */
const NO_NUMBER = 1e150;

/** What a window says besides errors and latency. What did not come up is not said. */
export class WindowSignals {
  #crashes = 0;
  #golden: { run: number; wrong: number } | undefined;
  #feedback: { total: number; wrong: number } | undefined;
  #shadow: Shadow | undefined;
  readonly #outputs = new Map<string, { readonly values: QuantileSketch; notFinite: number }>();
  readonly #metrics = new Map<string, QuantileSketch>();

  crashed(): void {
    this.#crashes++;
  }

  rechecked({ run, wrong }: Pick<Recheck, 'run' | 'wrong'>): void {
    this.#golden = { run: (this.#golden?.run ?? 0) + run, wrong: (this.#golden?.wrong ?? 0) + wrong };
  }

  feedback(correct: boolean): void {
    this.#feedback ??= { total: 0, wrong: 0 };
    this.#feedback.total++;
    if (!correct) this.#feedback.wrong++;
  }

  shadowed({ agrees, maxError, cost }: ShadowResult): void {
    const shadow = this.#openShadow();
    shadow.compared++;
    if (!agrees) shadow.disagreed++;
    shadow.maxError.add(Math.min(Number.isFinite(maxError) ? maxError : NO_NUMBER, NO_NUMBER));
    shadow.cost.add(Math.max(0, cost));
  }

  shadowDropped(): void {
    this.#openShadow().dropped++;
  }

  outputs(samples: readonly OutputSample[]): void {
    for (const { name, values } of samples) {
      const output = opened(this.#outputs, name, OUTPUTS_PER_WINDOW, () => ({ values: new QuantileSketch(), notFinite: 0 }));
      if (output === undefined) continue;
      for (const value of values) {
        if (Math.abs(value) <= NO_NUMBER) output.values.add(value);
        else output.notFinite++;
      }
    }
  }

  /** False when the window holds as many other names as it may. */
  metric(name: string, value: number): boolean {
    const values = opened(this.#metrics, name, METRICS_PER_WINDOW, () => new QuantileSketch());
    values?.add(value);
    return values !== undefined;
  }

  /** Adds what `other` holds. */
  merge(other: WindowSignals): void {
    this.#crashes += other.#crashes;
    if (other.#golden !== undefined) this.rechecked(other.#golden);
    if (other.#feedback !== undefined) {
      this.#feedback ??= { total: 0, wrong: 0 };
      this.#feedback.total += other.#feedback.total;
      this.#feedback.wrong += other.#feedback.wrong;
    }
    if (other.#shadow !== undefined) this.#mergeShadow(other.#shadow);
    for (const [name, { values, notFinite }] of other.#outputs) {
      const output = opened(this.#outputs, name, OUTPUTS_PER_WINDOW, () => ({ values: new QuantileSketch(), notFinite: 0 }));
      if (output === undefined) continue;
      output.values.merge(values);
      output.notFinite += notFinite;
    }
    for (const [name, values] of other.#metrics) opened(this.#metrics, name, METRICS_PER_WINDOW, () => new QuantileSketch())?.merge(values);
  }

  toWindow(): Said {
    const shadow = this.#shadow;
    return {
      ...(this.#crashes > 0 && { crashes: this.#crashes }),
      ...(this.#golden && { golden: { ...this.#golden } }),
      ...(this.#feedback && { feedback: { ...this.#feedback } }),
      ...(shadow && { shadow: { ...shadow, maxError: shadow.maxError.encode(), cost: shadow.cost.encode() } }),
      ...(this.#outputs.size > 0 && {
        outputs: Object.fromEntries(
          [...this.#outputs].map(([name, { values, notFinite }]) => [name, { values: values.encode(), notFinite }] as const),
        ),
      }),
      ...(this.#metrics.size > 0 && {
        metrics: Object.fromEntries([...this.#metrics].map(([name, values]) => [name, values.encode()] as const)),
      }),
    };
  }

  #openShadow(): Shadow {
    this.#shadow ??= { compared: 0, disagreed: 0, dropped: 0, maxError: new QuantileSketch(), cost: new QuantileSketch() };
    return this.#shadow;
  }

  #mergeShadow(other: Shadow): void {
    const shadow = this.#openShadow();
    shadow.compared += other.compared;
    shadow.disagreed += other.disagreed;
    shadow.dropped += other.dropped;
    shadow.maxError.merge(other.maxError);
    shadow.cost.merge(other.cost);
  }
}

function opened<V>(map: Map<string, V>, name: string, most: number, make: () => V): V | undefined {
  const found = map.get(name);
  if (found !== undefined || map.size >= most) return found;
  const made = make();
  map.set(name, made);
  return made;
}
