import type { DataPlane, PredictionTarget } from '#agent/inference/contract.js';
import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { METRICS_PER_WINDOW } from '#shared/signals/rows.js';
import type { AnswerLog, AnswerName } from './answer-log.js';

/** Where the application's word on answers goes. */
export interface FeedbackSink {
  feedback(target: PredictionTarget, correct: boolean): void;
  /** False when as many other names were reported lately as may be. */
  metric(target: PredictionTarget, name: string, value: number): boolean;
}

interface FeedbackDeps {
  readonly dataPlane: Pick<DataPlane, 'list' | 'routed' | 'targetOf'>;
  readonly sink: FeedbackSink;
  readonly answers: AnswerLog;
}

/** How an answer turned out. */
export interface Verdict {
  readonly correct?: boolean | undefined;
  readonly value?: number | undefined;
}

/** What a number of the application's is about: every model in service, or one, in the version in service or another. */
interface MetricSubject extends AnswerName {
  readonly model?: ModelName | undefined;
  readonly version?: VersionNumber | undefined;
}

/** Metric under which the `value` of a feedback is reported. */
const OUTCOME = 'outcome';

/** What the application says of answers and of itself; it is counted by version, and rollouts are judged by it. */
export class Feedback {
  readonly #deps: FeedbackDeps;

  constructor(deps: FeedbackDeps) {
    this.#deps = deps;
  }

  /** Counts a verdict for the version named, or the one that gave the answer. */
  judged(model: ModelName, named: VersionNumber | undefined, answer: AnswerName, { correct, value }: Verdict): PredictionTarget {
    const version = named ?? this.#deps.answers.versionOf(model, answer);
    if (version === undefined) throw unknownAnswer(model, answer);
    const target = this.#target(model, version);
    if (value !== undefined) this.#record(target, OUTCOME, value);
    if (correct !== undefined) this.#deps.sink.feedback(target, correct);
    return target;
  }

  /** Counts a number for whatever it is about. */
  measured(name: string, value: number, subject: MetricSubject): readonly PredictionTarget[] {
    const targets = subject.model === undefined ? this.#inService() : [this.#subject(subject.model, subject)];
    for (const target of targets) this.#record(target, name, value);
    return targets;
  }

  #record(target: PredictionTarget, metric: string, value: number): void {
    if (this.#deps.sink.metric(target, metric, value)) return;
    throw new SkerryError('SERVE_METRIC_LIMIT', `${METRICS_PER_WINDOW} other metrics of ${target.model} were reported in this window`);
  }

  #inService(): readonly PredictionTarget[] {
    const { dataPlane } = this.#deps;
    const models = new Set(dataPlane.list().map(({ model }) => model));
    return [...models].flatMap((model) => dataPlane.targetOf(model) ?? []);
  }

  #subject(model: ModelName, subject: MetricSubject): PredictionTarget {
    const { answers, dataPlane } = this.#deps;
    const named = subject.id !== undefined || subject.key !== undefined;
    const version = subject.version ?? (named ? answers.versionOf(model, subject) : dataPlane.routed(model));
    if (version !== undefined) return this.#target(model, version);
    if (named) throw unknownAnswer(model, subject);
    throw new SkerryError('INFERENCE_NOT_READY', `model ${model} has no version in service`);
  }

  #target(model: ModelName, version: VersionNumber): PredictionTarget {
    const target = this.#deps.dataPlane.targetOf(model, version);
    if (target !== undefined) return target;
    throw new SkerryError('INFERENCE_VERSION_UNKNOWN', `model ${model} is no longer loaded in version ${version}`);
  }
}

function unknownAnswer(model: string, { id, key }: AnswerName): SkerryError {
  const which =
    id === undefined && key === undefined ? 'no id, no key and no version were given' : 'no answer with this id or key is remembered';
  return new SkerryError('SERVE_FEEDBACK_UNKNOWN', `${which}, so it is not known which version of ${model} is meant`);
}
