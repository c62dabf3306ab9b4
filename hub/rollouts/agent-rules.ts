import type { z } from 'zod';
import { AGENT_MODEL } from '#shared/bundle/names.js';
import type { Gate, GateKind } from './gate-document.js';

// A release of the agent is rolled out like a version of a model, but it answers no predictions: devices report of it whether it
// came up and stayed, how often it ended unasked, and what the device itself needs meanwhile.

/** Gates that have figures for a release of the agent: of the devices, not of predictions. */
const AGENT_GATES: ReadonlySet<GateKind> = new Set(['install', 'crashes', 'memory', 'temperature', 'limit']);

/** What the rollout of a release watches when it does not say. */
const DEFAULT_AGENT_GATES: readonly unknown[] = [{ gate: 'install' }, { gate: 'crashes' }];

/** Fills in the gates of a release's rollout before the schema fills in those of a model's. */
export function withAgentDefaults(document: unknown): unknown {
  if (typeof document !== 'object' || document === null || !('model' in document) || document.model !== AGENT_MODEL) return document;
  return 'gates' in document && document.gates !== undefined ? document : { ...document, gates: DEFAULT_AGENT_GATES };
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

/** Adds an issue for everything a rollout of the agent asks for that only versions of models have. */
export function checkAgentRollout(document: Document, context: z.RefinementCtx): void {
  if (document.model !== AGENT_MODEL) return;
  const refuse = (path: (string | number)[], message: string): void => context.addIssue({ code: 'custom', path, message });
  const { kind } = document.strategy;
  if (kind !== 'canary')
    refuse(['strategy'], `a device runs one release of the agent: it cannot be rolled out as "${kind}", only as "canary"`);
  for (const [path, part] of [[[], document] as const, ...document.waves.map((wave, index) => [['waves', index], wave] as const)]) {
    for (const [index, gate] of (part.gates ?? []).entries()) {
      const why = whyNoGate(gate);
      if (why !== undefined) refuse([...path, 'gates', index], why);
    }
    if ((part.evidence?.predictions ?? 0) > 0) {
      refuse([...path, 'evidence', 'predictions'], 'a release of the agent answers no predictions; ask for "devices"');
    }
  }
}

function whyNoGate(gate: Gate): string | undefined {
  if (AGENT_GATES.has(gate.gate) && !(gate.gate === 'limit' && gate.of !== 'crashes')) return undefined;
  const name = gate.gate === 'limit' ? `limit of ${gate.of}` : gate.gate;
  return `"${name}" looks at predictions, which belong to versions of models; a release of the agent has install, crashes, memory, temperature, and limit of crashes`;
}
