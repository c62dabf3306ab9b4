import type { Parts } from '#shared/kernel/lifecycle.js';
import { describeRuntime } from '../capabilities.js';
import type { WitnessFile } from '../inference/faults/witness-file.js';
import type { RuntimeDescription } from '../inference/instances/instance-protocol.js';
import type { PredictionRecorder } from '../inference/contract.js';
import { createInferenceRuntime, type InferenceRuntime, type InferenceRuntimeOptions } from '../inference/runtime.js';
import { BehaviourBook } from '../metrics/behaviour.js';
import { MetricsRecorder } from '../metrics/recorder.js';
import { RequestCounts } from '../metrics/request-counts.js';
import { tee } from '../metrics/tee.js';
import { inferenceSettings } from './inference-settings.js';
import type { AgentContext } from './context.js';
import type { AgentThreads } from './threads.js';

/** What predicts, and what counts it. */
export interface Predicting {
  readonly runtime: InferenceRuntime;
  readonly recorder: MetricsRecorder;
  readonly behaviour: BehaviourBook;
  readonly requests: RequestCounts;
  /** Hears of every prediction and counts it in both of the above. */
  readonly counting: PredictionRecorder;
  /** Does not reject: a runtime that cannot be loaded describes itself as one without providers. */
  readonly description: Promise<RuntimeDescription>;
}

interface PredictingNeeds {
  readonly threads: AgentThreads;
  /** What later phases open. */
  readonly witness: () => WitnessFile | undefined;
  readonly onCrash: NonNullable<InferenceRuntimeOptions['onCrash']>;
}

/** Before the store is open: the runtime loads in one thread while the store opens in another. */
export function openPredicting(parts: Parts, context: AgentContext, { threads, witness, onCrash }: PredictingNeeds): Predicting {
  const { config, identity, logger, clock, random } = context;
  const recorder = new MetricsRecorder();
  const behaviour = new BehaviourBook(clock);
  const requests = new RequestCounts();
  const counting = tee(recorder, behaviour);
  const runtime = createInferenceRuntime({
    store: {
      get: async (key) => (await threads.store).state.get(key),
      set: async (key, value) => (await threads.store).state.set(key, value),
    },
    recorder: counting,
    device: identity.device,
    logger: logger.child({ room: 'inference' }),
    settings: inferenceSettings(config),
    clock,
    random,
    first: threads.instance,
    witness,
    onCrash,
  });
  parts.holds(runtime);
  return { runtime, recorder, behaviour, requests, counting, description: describeRuntime(runtime, logger) };
}
