import type { DataPlane, InferReply, InferRequest } from '#agent/inference/contract.js';
import { type Observer, Phases, type Row } from '#shared/kernel/phases.js';
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
export function predictionPhases({ dataPlane, answers, tracer }: PredictionDeps): Row<PredictRequest, InferReply> {
  const remembering = Phases.from<PredictRequest, InferReply>().observe('remember answer', rememberAnswer(answers));
  return (tracer === undefined ? remembering : remembering.observe('trace', trace(tracer))).end('data plane', (request) =>
    dataPlane.infer(request),
  );
}

/** Which version answered is known to whoever tells how the answer turned out. */
function rememberAnswer(answers: AnswerLog): Observer<PredictRequest, InferReply> {
  return {
    leave: (request, reply) => {
      answers.answered(request.model, reply.target.version, request);
      return reply;
    },
  };
}

function trace(tracer: Pick<Tracer, 'predicted'>): Observer<PredictRequest, InferReply> {
  return {
    leave: (_, reply) => {
      tracer.predicted(reply);
      return reply;
    },
  };
}
