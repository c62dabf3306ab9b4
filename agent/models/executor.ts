import type { Step, StepKind } from './decide/step.js';
import type { Handler, StepContext } from './steps/context.js';
import { fetchArtifact, fetchManifest } from './steps/fetch.js';
import { accept, forget, lack, markBad, markGood, refuse, settle, supersede } from './steps/records.js';
import { direct, load, recheck, rollBack, route, switchOver, unload, verify, withdraw } from './steps/serve.js';
import { evict, sweep } from './steps/space.js';

/** How each step is done; a new kind of step does not compile until it stands here. */
const HANDLERS: { readonly [K in StepKind]: Handler<K> } = {
  accept,
  refuse,
  lack,
  fetchManifest,
  fetchArtifact,
  verify,
  load,
  switch: switchOver,
  route,
  direct,
  recheck,
  settle,
  unload,
  markGood,
  markBad,
  rollBack,
  withdraw,
  supersede,
  forget,
  evict,
  sweep,
};

/** Does one step; resolves when what it promises is true, rejects with the reason. */
export function execute<K extends StepKind>(step: Step<K>, context: StepContext, signal: AbortSignal): Promise<void> {
  const handler: Handler<K> = HANDLERS[step.kind];
  return handler(step, context, signal);
}
