import type { Fleet } from '../kit/fleet.js';
import type { Recording } from './audio.js';
import type { Narrator } from './narrator.js';
import type { StepRecord } from './report.js';

/** What a step works with. */
export interface Scene {
  readonly fleet: Fleet;
  readonly recording: Recording;
  readonly tell: Narrator;
  readonly devices: number;
  /** Predictions made so far by version number, whatever answered them: what the hub must count in the end. */
  readonly predictions: Map<string, number>;
  readonly signal: AbortSignal;
}

/** Collects what one step checked and measured. */
export class StepNotes {
  readonly checks: { what: string; held: boolean; seen: string }[] = [];
  readonly figures: Record<string, number | string> = {};
  readonly #tell: Narrator;

  constructor(tell: Narrator) {
    this.#tell = tell;
  }

  check(what: string, held: boolean, seen = ''): void {
    this.checks.push({ what, held, seen });
    this.#tell.check(what, held, seen);
  }

  figure(name: string, value: number | string): void {
    this.figures[name] = value;
  }
}

export interface Step {
  readonly name: string;
  run(scene: Scene, notes: StepNotes): Promise<void>;
}

/** Runs a step to its record; a thrown error is a step that did not hold. */
export async function runStep(step: Step, scene: Scene, number: number): Promise<StepRecord> {
  const started = performance.now();
  const notes = new StepNotes(scene.tell);
  scene.tell.title(`${number}. ${step.name}`);
  let error: string | undefined;
  try {
    await step.run(scene, notes);
  } catch (cause) {
    error = cause instanceof Error ? cause.message : String(cause);
    scene.tell.failure(error);
  }
  const held = error === undefined && notes.checks.length > 0 && notes.checks.every((check) => check.held);
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  const record = { name: step.name, held, seconds, checks: notes.checks, figures: notes.figures };
  return error === undefined ? record : { ...record, error };
}

export function countPredictions(scene: Scene, version: string, count: number): void {
  scene.predictions.set(version, (scene.predictions.get(version) ?? 0) + count);
}
