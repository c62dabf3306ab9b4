import type { z } from 'zod';
import { kindNamed, VERSION_KINDS, type VersionKind } from '#shared/bundle/kinds.js';
import { ROWS } from '#shared/signals/rows.js';
import type { Signal } from '#shared/signals/signal.js';
import { SIGNALS } from '#shared/signals/table.js';
import type { Gate } from '../gate.js';
import { DEFAULT_GATES, gateName } from '../gate-document.js';
import { ruleOf } from './gate-rule.js';

/** What the rollout of a version may ask for, by the version's kind. */
interface KindRules {
  /** What the rollout watches when it does not say. */
  readonly defaultGates: readonly unknown[];
  /** Signals that have figures; left out where all have. */
  readonly signals?: (signal: Signal) => boolean;
  /** The only strategy, and why there is no other; left out where each can be taken. */
  readonly only?: { readonly strategy: string; readonly since: string };
  /** How errors name a version of this kind. */
  readonly name: string;
}

const RULES: Readonly<Record<VersionKind, KindRules>> = {
  model: { defaultGates: DEFAULT_GATES, name: 'a version of a model' },
  // It answers no predictions: devices report of it whether it came up and stayed, how often it ended unasked, and what the device
  // itself needs meanwhile.
  agent: {
    defaultGates: [{ gate: 'install' }, { gate: 'crashes' }],
    signals: (signal) => signal.of === 'device' || signal === ROWS.crashes,
    only: { strategy: 'canary', since: 'a device runs one release of the agent' },
    name: 'a release of the agent',
  },
};

/** Fills in the gates that a rollout watches when it does not say. */
export function withKindDefaults(document: unknown): unknown {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return document;
  if ('gates' in document && document.gates !== undefined) return document;
  const kind = 'model' in document && typeof document.model === 'string' ? kindNamed(document.model) : 'model';
  return { ...document, gates: RULES[kind].defaultGates };
}

interface Wave {
  readonly gates?: readonly Gate[] | undefined;
  readonly evidence?: { readonly predictions?: number | undefined } | undefined;
}

interface Document extends Wave {
  readonly model: string;
  readonly strategy: { readonly kind: string };
  readonly waves: readonly Wave[];
}

/** Adds an issue for everything a rollout asks for that versions of its kind do not have. */
export function checkKindRules(document: Document, context: z.RefinementCtx): void {
  const kind = kindNamed(document.model);
  const rules = RULES[kind];
  const refuse = (path: (string | number)[], message: string): void => context.addIssue({ code: 'custom', path, message });
  const { only, name } = rules;
  if (only !== undefined && document.strategy.kind !== only.strategy)
    refuse(['strategy'], `${only.since}: it cannot be rolled out as "${document.strategy.kind}", only as "${only.strategy}"`);
  for (const [path, part] of [[[], document] as const, ...document.waves.map((wave, index) => [['waves', index], wave] as const)]) {
    for (const [index, gate] of (part.gates ?? []).entries()) {
      const why = whyNoGate(rules, gate);
      if (why !== undefined) refuse([...path, 'gates', index], why);
    }
    if (!VERSION_KINDS[kind].predicts && (part.evidence?.predictions ?? 0) > 0) {
      refuse([...path, 'evidence', 'predictions'], `${name} answers no predictions; ask for "devices"`);
    }
  }
}

function whyNoGate({ signals, name }: KindRules, gate: Gate): string | undefined {
  const rule = ruleOf(gate);
  if (signals === undefined || rule.test === 'install' || (rule.test !== 'burn' && signals(rule.signal))) return undefined;
  const own = SIGNALS.gates.flatMap(([gateOf, signal]) => (signals(signal) ? [gateOf] : []));
  return `"${gateName(gate)}" looks at predictions, which belong to versions of models; ${name} has install, ${own.join(', ')}, and limits of these`;
}
