import { asSkerryError, type ErrorDetails, SkerryError } from '#shared/kernel/errors.js';
import type { Millis } from '#shared/kernel/time.js';
import type { Logger } from '#shared/kernel/logger.js';
import { notFiniteIn, type NotFiniteOutputs } from '#shared/tensor/not-finite.js';
import { replacedIn } from '#shared/tensor/strings.js';
import type { ServableSpec } from '../contract.js';
import { emptySizes, type EmptySizes } from '../checks/empty-sizes.js';
import { type GoldenSample, goldenMismatch, readGoldenSample } from './golden.js';
import type { Instance, Signature } from '../instances/instance.js';
import type { LoadOptions } from '../instances/instance-protocol.js';
import type { RuntimeDescription, VersionId, WitnessSlot } from '../instances/instance-protocol.js';
import { availableMemory, deviceFingerprint } from './device.js';
import { beats, type Candidate, chooseRemembered, CPU, type Excluded, planPlacement, type Verdict } from '../decide/placement.js';
import { estimatedBytes, type LoadCost } from './load-cost.js';
import { placementKey, type PlacementMemory } from './placement-memory.js';
import type { InferenceSettings } from '../settings.js';
import { sharedSizes, type SharedSizes } from '../checks/shared-sizes.js';
import { checkSignature } from './signature.js';
import { warmUp } from './warm-up.js';

interface LoaderParts {
  readonly start: (of: VersionId) => Instance;
  /** Where an instance writes down that it is in native code. */
  readonly slotOf: (instance: Instance) => WitnessSlot | undefined;
  readonly describe: () => Promise<RuntimeDescription>;
  readonly memory: PlacementMemory;
  readonly settings: InferenceSettings;
  readonly logger: Logger;
}

/** A candidate that gave the right golden outputs, in an instance that is warm. */
interface Placed {
  /** The version, with what its file declares where no manifest does. */
  readonly spec: ServableSpec;
  readonly candidate: Candidate;
  readonly instance: Instance;
  readonly millis: Millis;
  /** What ending its process gives back; unknown of threads. */
  readonly memoryBytes: number | undefined;
  readonly shared: SharedSizes;
  readonly classNames: ClassNames;
}

/** The candidate chosen, and what its golden samples show that the version takes. */
interface Chosen extends Placed {
  readonly empties: EmptySizes;
  readonly notFinite: NotFiniteOutputs;
  readonly replaced: readonly string[];
}

/** Names of the classes, by output, where the model has them. */
export type ClassNames = ReadonlyMap<string, readonly string[]>;

/** What the device offers, and what it knows of candidates from earlier. */
interface Recall {
  readonly offered: readonly string[];
  readonly key: (candidate: Candidate) => string;
  readonly verdict: (candidate: Candidate) => Verdict | undefined;
}

interface Failure {
  readonly candidate: Candidate;
  readonly error: SkerryError;
}

/** Brings a version up: plans, tries, measures, keeps the best (R6). Decisions are in `placement.ts`. */
export class Loader {
  readonly #parts: LoaderParts;

  constructor(parts: LoaderParts) {
    this.#parts = parts;
  }

  /**
   * Gives the best candidate for the version in a warm instance of its own; `onLoaded` is called when the first session
   * stands. Rejects with the reason of the most telling failure; nothing is left running then.
   */
  async place(spec: ServableSpec, onLoaded: () => void, signal: AbortSignal): Promise<Chosen> {
    const recall = await this.#recaller();
    const { candidates, excluded } = planPlacement(spec.variants, recall.offered, await availableMemory(), recall.verdict);
    const remembered = chooseRemembered(candidates, recall.verdict);
    const failures: Failure[] = [];
    let best: Placed | undefined;
    let shown: Pick<Chosen, 'empties' | 'notFinite' | 'replaced'> | undefined;
    try {
      // Already knowing the best one, the others are tried only should it fail.
      const order = remembered === undefined ? candidates : [remembered, ...candidates.filter((other) => other !== remembered)];
      const samples = await Promise.all(spec.goldenSamples.map((sample) => readGoldenSample(spec, sample)));
      const expected = samples.map((sample) => sample.expected);
      shown = { empties: emptySizes(samples), notFinite: notFiniteIn(expected), replaced: replacedIn(expected) };
      for (const candidate of order) {
        if (signal.aborted) throw new SkerryError('ABORTED', `loading ${spec.model}@${spec.version} was cancelled`);
        if (best !== undefined && best.candidate === remembered) break;
        const tried = await this.#try(spec, candidate, samples, recall, candidates.length > 1 && remembered === undefined, onLoaded);
        if ('error' in tried) {
          failures.push(tried);
          continue;
        }
        const loser: Placed | undefined = best === undefined || beats(tried.millis, best.millis) ? best : tried;
        if (loser !== tried) best = tried;
        await loser?.instance.close();
      }
    } catch (cause) {
      await best?.instance.close();
      throw cause;
    }
    if (best === undefined || shown === undefined) throw noPlacement(spec, failures, excluded);
    return { ...best, ...shown };
  }

  /** What loading a version will cost: what it took when it was last measured, else what its largest file lets expect. */
  async expectedCost(spec: ServableSpec): Promise<LoadCost> {
    const { settings } = this.#parts;
    const instances = spec.instances ?? settings.instances;
    const { verdict } = await this.#recaller();
    const known = spec.variants.flatMap((variant) =>
      variant.providers.flatMap((provider) => {
        const before = verdict({ variant, provider });
        return before?.kind === 'right' && before.memoryBytes !== undefined ? [before.memoryBytes] : [];
      }),
    );
    if (known.length > 0) return { bytes: Math.max(...known) * instances, isEstimate: false };
    const carrier = settings.isolation === 'thread' ? 'thread' : 'process';
    const sizes = await Promise.all(spec.variants.map((variant) => estimatedBytes(variant, carrier)));
    return { bytes: Math.max(0, ...sizes) * instances, isEstimate: true };
  }

  /** One more warm instance of a candidate that was placed before, and of what its golden samples showed then. */
  async again(spec: ServableSpec, { candidate, replaced }: Pick<Chosen, 'candidate' | 'replaced'>): Promise<Instance> {
    const { instance } = await this.#open(spec, candidate, replaced);
    try {
      const [sample] = spec.goldenSamples;
      if (sample !== undefined) await this.#check(spec, candidate, instance, await readGoldenSample(spec, sample), 1);
      return instance;
    } catch (cause) {
      await instance.close();
      throw cause;
    }
  }

  async #try(
    spec: ServableSpec,
    candidate: Candidate,
    samples: readonly GoldenSample[],
    recall: Recall,
    measure: boolean,
    onLoaded: () => void,
  ): Promise<Placed | Failure> {
    const { memory, settings, logger } = this.#parts;
    const key = recall.key(candidate);
    const before = recall.verdict(candidate);
    const accelerated = candidate.provider !== CPU;
    // R6: written ahead, so that a crash of the process is known to be this candidate's.
    if (accelerated) await memory.remember(key, { kind: 'trying' });
    let instance: Instance | undefined;
    try {
      const opened = await this.#open(spec, candidate, replacedIn(samples.map((sample) => sample.expected)));
      const { signature } = opened;
      instance = opened.instance;
      const declared = spec.declare === undefined ? spec : { ...spec, ...spec.declare(signature) };
      if (spec.declare === undefined) checkSignature(spec, signature, candidate.variant.name);
      onLoaded();
      if (spec.declare !== undefined) await warmUp(instance, declared);
      let millis = 0;
      for (const sample of samples) millis += await this.#check(spec, candidate, instance, sample, measure ? settings.warmupRuns : 1);
      const memoryBytes = await instance.ownBytes();
      const verdict = { kind: 'right', memoryBytes, millis: !measure && before?.kind === 'right' ? before.millis : millis } as const;
      // R6: the mark of an accelerator must be gone before it is used. Nobody waits for the rest.
      const remembered = memory.remember(key, verdict);
      if (measure || accelerated) await remembered;
      else
        remembered.catch((cause: unknown) => logger.warn({ error: asSkerryError(cause).message }, 'a placement could not be remembered'));
      const shared = sharedSizes(signature.inputs, samples);
      return { spec: declared, candidate, instance, millis, memoryBytes, shared, classNames: classNamesOf(signature) };
    } catch (cause) {
      const error = asSkerryError(cause);
      await instance?.close();
      if (accelerated) await memory.remember(key, verdictOf(error));
      const { variant, provider } = candidate;
      logger.warn({ model: spec.model, version: spec.version, variant: variant.name, provider, code: error.code }, error.message);
      return { candidate, error };
    }
  }

  /**
   * An instance with the model opened. Where the system refused to start a process, which says nothing about the version, it is tried
   * once more: models run in threads for a while then.
   */
  async #open(
    spec: ServableSpec,
    candidate: Candidate,
    replaced: readonly string[],
    retries = 1,
  ): Promise<{ readonly instance: Instance; readonly signature: Signature }> {
    const instance = this.#parts.start(spec);
    try {
      return { instance, signature: await instance.load(this.#toLoad(spec, candidate, replaced, instance)) };
    } catch (cause) {
      await instance.close();
      if (retries > 0 && asSkerryError(cause).details?.['notStarted'] === true) return this.#open(spec, candidate, replaced, retries - 1);
      throw cause;
    }
  }

  #toLoad(
    { model, version, outputs, declare }: ServableSpec,
    { variant, provider }: Candidate,
    replaced: readonly string[],
    instance: Instance,
  ): LoadOptions {
    const witness = this.#parts.slotOf(instance);
    return {
      file: variant.file,
      provider,
      threads: this.#parts.settings.threads,
      outputs: declare === undefined ? outputs.map(({ name }) => name) : undefined,
      replaced,
      of: { model, version },
      ...(witness && { witness }),
    };
  }

  async #check(spec: ServableSpec, candidate: Candidate, instance: Instance, sample: GoldenSample, runs: number): Promise<Millis> {
    const { inputs, expected, tolerance } = sample;
    const result = await instance.check({ inputs, expected, tolerance, runs, budget: this.#parts.settings.warmupBudget });
    if (!result.comparison.agrees) throw goldenMismatch(spec, candidate.variant.name, candidate.provider, sample.name, result);
    return result.millis;
  }

  async #recaller(): Promise<Recall> {
    const [description, fingerprint] = await Promise.all([this.#parts.describe(), deviceFingerprint()]);
    const key = (candidate: Candidate): string => placementKey(candidate, fingerprint, description.version);
    return { offered: description.providers, key, verdict: (candidate) => this.#parts.memory.recall(key(candidate)) };
  }
}

/** What is remembered of a candidate that failed: wrong outputs for good; the rest may be of the moment and is tried again. */
function verdictOf(error: SkerryError): Verdict {
  if (error.code === 'INFERENCE_GOLDEN_MISMATCH') return { kind: 'wrong', reason: error.message.slice(0, 256) };
  if (error.code === 'INFERENCE_INSTANCE_DIED' || error.code === 'INFERENCE_CRASHED' || error.code === 'INFERENCE_STUCK')
    return { kind: 'trying' };
  return { kind: 'unusable', reason: error.message.slice(0, 256) };
}

function classNamesOf({ outputs }: Signature): ClassNames {
  return new Map(outputs.flatMap(({ name, classNames }) => (classNames === undefined ? [] : [[name, classNames] as const])));
}

/** The CPU's failure says most about the version itself; an accelerator's may be the device's. */
function noPlacement(spec: ServableSpec, failures: readonly Failure[], excluded: readonly Excluded[]): SkerryError {
  const telling = failures.find(({ candidate }) => candidate.provider === CPU) ?? failures[0];
  const details: ErrorDetails = {
    excluded,
    failures: failures.map(({ candidate, error }) => ({
      variant: candidate.variant.name,
      provider: candidate.provider,
      code: error.code,
      message: error.message,
    })),
  };
  if (telling === undefined) {
    return new SkerryError('INFERENCE_NO_PLACEMENT', `no variant of ${spec.model}@${spec.version} can run on this device`, { details });
  }
  const { error } = telling;
  return new SkerryError(error.code, error.message, { cause: error, details: { ...error.details, ...details } });
}
