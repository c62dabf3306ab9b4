import type { DataPlane, InferReply, InferRequest } from '#agent/inference/contract.js';
import { type Phase, Phases, type Row } from '#shared/kernel/phases.js';
import type { AnswerLog } from './answer-log.js';
import type { Tracer } from './tracing/tracer.js';

/** A prediction as a dialect asks for it. */
export interface PredictRequest extends InferRequest {
  /** How the client names the request, for what it says of the answer later. */
  readonly id?: string | undefined;
}

interface PredictionDeps {
  readonly dataPlane: Pick<DataPlane, 'infer'>;
  readonly answers: AnswerLog;
  /** Left out: nothing is traced. */
  readonly tracer?: Pick<Tracer, 'predicted'> | undefined;
}

/** What stands before and behind every prediction, whichever dialect asked for it. */
export function predictionPhases(deps: PredictionDeps): Row<PredictRequest, InferReply> {
  const { tracer } = deps;
  const remembering = Phases.from<PredictRequest, InferReply>().phase('remember answer', rememberAnswer(deps));
  return (tracer === undefined ? remembering : remembering.phase('trace', trace(tracer))).end('data plane', (request) =>
    deps.dataPlane.infer(request),
  );
}

/** Which version answered is known to whoever tells how the answer turned out. */
function rememberAnswer({ answers }: PredictionDeps): Phase<PredictRequest, PredictRequest, InferReply> {
  return async (request, next) => {
    const reply = await next(request);
    answers.answered(request.model, reply.target.version, request);
    return reply;
  };
}

function trace(tracer: Pick<Tracer, 'predicted'>): Phase<PredictRequest, PredictRequest, InferReply> {
  return async (request, next) => {
    const reply = await next(request);
    tracer.predicted(reply);
    return reply;
  };
}
