import { type Gate, levelRule } from '../gate-document.js';

/** What of a device's measurements gates look at: the rest is not read, since unpacking it is most of the work. */
export interface Needs {
  readonly latency: boolean;
  /** Everything besides predictions, errors and latency. */
  readonly signals: boolean;
  readonly outputs: boolean;
  /** Requests refused for what callers sent count as failed (`Plan.narrowed`). */
  readonly refused: boolean;
  /** Quantiles of what a device did before, by the name of the distribution (`latency`, `memory`, `temperature`, `metric:NAME`). */
  readonly quantiles: ReadonlyMap<string, ReadonlySet<number>>;
}

export function needsOf(gates: readonly Gate[], refused = false): Needs {
  const quantiles = new Map<string, Set<number>>();
  for (const gate of gates) {
    if (!('quantile' in gate) || gate.gate === 'limit') continue;
    const name = gate.gate === 'metric' ? metricKey(gate.name) : gate.gate;
    quantiles.set(name, (quantiles.get(name) ?? new Set()).add(gate.quantile));
  }
  return {
    latency: quantiles.has('latency') || gates.some((gate) => levelRule(gate)?.of === 'latency'),
    signals: gates.some(readsSignals),
    outputs: gates.some((gate) => gate.gate === 'drift'),
    refused,
    quantiles,
  };
}

export function metricKey(name: string): string {
  return `metric:${name}`;
}

function readsSignals(gate: Gate): boolean {
  if (gate.gate === 'limit') return gate.of !== 'errors' && gate.of !== 'latency';
  return gate.gate !== 'install' && gate.gate !== 'errors' && gate.gate !== 'latency' && gate.gate !== 'burn';
}
