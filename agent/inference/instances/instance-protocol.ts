import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { Millis } from '#shared/kernel/time.js';
import type { ErrorBody } from '#shared/kernel/errors.js';
import type { Comparison } from '#shared/tensor/compare.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import type { DeclaredInput } from '../checks/shared-sizes.js';
import type { OutputTolerances } from '#shared/tensor/tolerance.js';

/** The version whose model an instance holds. */
export interface VersionId {
  readonly model: ModelName;
  readonly version: VersionNumber;
}

/** A place in the file of `native-witness.ts`. */
export interface WitnessSlot {
  readonly file: string;
  readonly slot: number;
}

/** What the runtime in this build is and offers. */
export interface RuntimeDescription {
  readonly name: string;
  readonly version: string;
  /** Execution providers whose libraries are here. Whether a device for one exists shows when a session is created. */
  readonly providers: readonly string[];
}

/** What one golden sample gave. */
export interface SampleResult {
  readonly comparison: Comparison;
  /** The output with the largest disagreement, when there is one. */
  readonly output: string | undefined;
  /** Median duration of the timed runs. */
  readonly millis: Millis;
}

/** What an instance is to load. */
export interface LoadOptions {
  readonly file: string;
  readonly provider: string;
  readonly threads: number;
  /** What is computed when no outputs are named: all that the model has when left out. */
  readonly outputs: readonly string[] | undefined;
  /** Outputs in which golden samples show U+FFFD, which stands for bytes that are no UTF-8 elsewhere. */
  readonly replaced: readonly string[];
  readonly of: VersionId;
  /** Where the instance writes down that it is in native code; left out: nowhere. */
  readonly witness?: WitnessSlot;
}

/** An output as the model declares it, with the names of its classes where the model has them. */
export interface DeclaredOutput extends TensorSpec {
  readonly classNames?: readonly string[];
}

/** From the main thread to an instance. Every message but `close` has an id and exactly one answer. */
export type ToInstance =
  | { readonly kind: 'describe'; readonly id: number }
  | ({ readonly kind: 'load'; readonly id: number } & LoadOptions)
  | {
      readonly kind: 'check';
      readonly id: number;
      readonly inputs: NamedTensors;
      readonly expected: NamedTensors;
      readonly tolerance: OutputTolerances;
      readonly runs: number;
      readonly budget: Millis;
      /** Of a request, and not a golden sample. */
      readonly copy?: true;
    }
  | { readonly kind: 'run'; readonly id: number; readonly inputs: NamedTensors; readonly outputs: readonly string[] | undefined }
  | { readonly kind: 'close' };

/** The answers. */
export type FromInstance =
  | { readonly kind: 'described'; readonly id: number; readonly description: RuntimeDescription }
  | { readonly kind: 'loaded'; readonly id: number; readonly inputs: readonly DeclaredInput[]; readonly outputs: readonly DeclaredOutput[] }
  | { readonly kind: 'checked'; readonly id: number; readonly result: SampleResult }
  | { readonly kind: 'ran'; readonly id: number; readonly outputs: NamedTensors; readonly compute: Millis }
  | { readonly kind: 'failed'; readonly id: number; readonly error: ErrorBody };

export type AnswerKind = Exclude<FromInstance['kind'], 'failed'>;
export type Answer<K extends AnswerKind> = Extract<FromInstance, { readonly kind: K }>;

const TO_INSTANCE: ReadonlySet<unknown> = new Set<ToInstance['kind']>(['describe', 'load', 'check', 'run', 'close']);
const FROM_INSTANCE: ReadonlySet<unknown> = new Set<FromInstance['kind']>(['described', 'loaded', 'checked', 'ran', 'failed']);

/** Tells the kind of a message; what is in it both ends, which are one program, agree on. */
export function isToInstance(message: unknown): message is ToInstance {
  return typeof message === 'object' && message !== null && 'kind' in message && TO_INSTANCE.has(message.kind);
}

export function isFromInstance(message: unknown): message is FromInstance {
  return typeof message === 'object' && message !== null && 'kind' in message && FROM_INSTANCE.has(message.kind);
}
