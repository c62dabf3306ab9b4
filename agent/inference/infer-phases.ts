import type { Clock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import { type Next, type Observer, type Phase, Phases, type Row } from '#shared/kernel/phases.js';
import { checkTensors } from '#shared/tensor/check.js';
import type { Work } from './batching/work.js';
import { expectedOutputs } from './checks/expected-outputs.js';
import { holdsUnexpected } from './checks/finite.js';
import { reshaped } from './checks/reshape.js';
import { checkRowLimit } from './checks/row-limit.js';
import { checkTexts, hasTexts } from './checks/texts.js';
import type { InferReply, InferRequest, PredictionRecorder } from './contract.js';
import { checkOutputs } from './placement/signature.js';
import type { Served, ServableTable } from './servables/servable-table.js';
import type { KeptRequest, ShadowRunner } from './servables/shadow.js';
import type { InferenceSettings } from './settings.js';

interface InferDeps {
  readonly table: ServableTable;
  readonly shadows: ShadowRunner;
  readonly recorder: PredictionRecorder;
  readonly settings: Pick<InferenceSettings, 'requestTimeout' | 'predictionLimit'>;
  readonly clock: Clock;
}

/** A request as it came. */
interface Received {
  readonly request: InferRequest;
  readonly began: Millis;
}

/** It has a servable that answers it, whatever is routed later. */
interface Routed extends Received, Served {
  /** Runs on a copy of it. */
  readonly shadow: Served | undefined;
}

/** It may run. */
interface Ready extends Received, Served {
  /** Its buffers may move to the instance. */
  readonly owned: boolean;
}

/** A prediction, from the request to the instance; phases that look at the answer do so on its way back, the last one first. */
export function inferPhases(deps: InferDeps): Row<Received, InferReply> {
  return Phases.from<Received, InferReply>()
    .phase('route', route(deps))
    .observe('record', record(deps))
    .observe('judge outputs', judgeOutputs)
    .phase('check', check)
    .phase('shadow', shadow(deps))
    .end('queue and run', queueAndRun(deps));
}

/** Pins the version before anything is awaited. A request that no servable takes is counted by its error alone. */
function route({ table, recorder, clock }: InferDeps): Phase<Received, Routed, InferReply> {
  return ({ request, began }, next) => {
    let directed;
    try {
      directed = table.direct(request);
    } catch (cause) {
      const error = asSkerryError(cause);
      recorder.failed(undefined, error.code, clock.monotonic() - began);
      return Promise.reject(error);
    }
    const { answers, shadow: watching } = directed;
    return next({ request, began, host: answers.host, target: answers.target, shadow: watching });
  };
}

/** Counts what came of the request for what it ran on. */
function record({ recorder, clock }: InferDeps): Observer<Routed, InferReply> {
  return {
    leave: ({ target, began }, reply) => {
      const { queue, compute } = reply.timing;
      recorder.succeeded(target, { queue, compute, total: clock.monotonic() - began }, reply);
      return reply;
    },
    failed: ({ target, began }, cause) => {
      const error = asSkerryError(cause);
      recorder.failed(target, error.code, clock.monotonic() - began);
      return error;
    },
  };
}

/** Marks an answer with values that no golden sample shows. */
const judgeOutputs: Observer<Routed, InferReply> = {
  leave: ({ host }, reply) => {
    // Nobody said what is right for it.
    if (host.spec.declare !== undefined) return reply;
    return holdsUnexpected(reply.outputs, host.notFinite) ? { ...reply, notFinite: true } : reply;
  },
};

/** Refuses what the model does not take, what could end the process, and an answer that the caller could not be given. */
const check: Phase<Routed, Routed, InferReply> = (routed, next) => {
  const { request, host } = routed;
  const { outputs, expecting } = request;
  const { spec } = host;
  checkTensors(spec.inputs, request.inputs);
  checkRowLimit(spec, request.inputs);
  const inputs = spec.inModel === undefined ? request.inputs : reshaped(spec.inputs, spec.inModel.inputs, request.inputs);
  const admitted = (): Promise<InferReply> => {
    if (outputs !== undefined) checkOutputs(spec, outputs);
    expecting?.(expectedOutputs(spec, inputs));
    host.admit(inputs);
    return next(inputs === request.inputs ? routed : { ...routed, request: { ...request, inputs } });
  };
  return hasTexts(inputs) ? checkTexts(inputs).then(admitted) : admitted();
};

/** Keeps a copy for the version that only looks on, and compares its answer with the one that was given. */
function shadow({ shadows }: InferDeps): Phase<Routed, Ready, InferReply> {
  return (routed, next) => {
    const { request, began, host, target } = routed;
    const copy = routed.shadow === undefined ? undefined : shadows.keep(routed.shadow, request);
    // What the shadow runs on later must still be here then.
    const reply = next({ request, began, host, target, owned: copy === undefined && request.owned === true });
    return copy === undefined ? reply : compared(copy, reply);
  };
}

async function compared(copy: KeptRequest, answering: Promise<InferReply>): Promise<InferReply> {
  try {
    const reply = await answering;
    copy.compare(reply.outputs);
    return reply;
  } catch (cause) {
    copy.discard();
    throw cause;
  }
}

/** The request waits in the line of its servable, shares a run where that is allowed, and an instance answers. */
function queueAndRun(deps: InferDeps): Next<Ready, InferReply> {
  return async (ready) => {
    const { request, host, target, owned } = ready;
    const { inputs, recipient, priority, queueTimeout } = request;
    const wanted = request.outputs ?? host.offered;
    const { timeout, hurried, late } = patience(deps, ready);
    const work = { inputs, outputs: wanted, owned, recipient, priority, queueTimeout, timeout, hurried, late };
    const { outputs, queue, compute } = await host.answer(work);
    const { inModel, outputs: declared } = host.spec;
    const given = inModel === undefined ? outputs : reshaped(inModel.outputs, declared, outputs);
    return { target, outputs: given, notFinite: false, timing: { queue, compute } };
  };
}

/** How long a request may take. One that allows less than the default is no failure of the version, whose latency is seen all the same. */
function patience(
  { settings, recorder, clock }: InferDeps,
  { request, host, target, began }: Ready,
): Pick<Work, 'timeout' | 'hurried' | 'late'> {
  const usual = Math.min(settings.requestTimeout, settings.predictionLimit);
  const { timeout, queueTimeout } = request;
  // What bounds the time in the queue of a model with a policy bounds the whole time of another.
  const asked = queueTimeout === undefined || host.hasQueuePolicy ? timeout : Math.min(queueTimeout, timeout ?? queueTimeout);
  if (asked === undefined || asked >= usual) return { timeout: asked ?? usual };
  return {
    timeout: asked,
    hurried: true,
    late: (timing) => recorder.succeeded(target, { ...timing, total: clock.monotonic() - began }),
  };
}
