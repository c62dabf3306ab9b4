import type { Millis } from '#shared/kernel/time.js';
import type { ServableSpec } from '../contract.js';

type Variant = ServableSpec['variants'][number];

/** One way to run a version on this device. */
export interface Candidate {
  readonly variant: Variant;
  readonly provider: string;
}

/** What this device knows of a candidate from earlier. */
export type Verdict =
  /** Written before it was tried; still there means that the process did not live to write the outcome. */
  | { readonly kind: 'trying' }
  /** Gave the right golden outputs: how long they took, and the memory that ending its process gives back (unknown of threads). */
  | { readonly kind: 'right'; readonly millis: Millis; readonly memoryBytes?: number | undefined }
  | { readonly kind: 'wrong'; readonly reason: string }
  /** Could not be loaded; tried again, since a driver or memory may have come since. */
  | { readonly kind: 'unusable'; readonly reason: string };

export interface Excluded {
  readonly variant: string;
  readonly provider: string;
  readonly reason: string;
}

interface PlacementPlan {
  /** To be tried, in this order; CPU before accelerators, so that there is a figure to beat. */
  readonly candidates: readonly Candidate[];
  readonly excluded: readonly Excluded[];
}

/** Every device has it, it is what R6 compares with, and it is never excluded by what happened before. */
export const CPU = 'cpu';

/** A later candidate replaces an earlier one only when it is faster by this factor: noise must not choose. */
const FASTER = 0.9;

/**
 * All candidates of a version on this device, and why the others are none. Pure.
 * `offered` are the providers the runtime has; `freeBytes` is the memory available (undefined: not known).
 */
export function planPlacement(
  variants: readonly Variant[],
  offered: readonly string[],
  freeBytes: number | undefined,
  recall: (candidate: Candidate) => Verdict | undefined,
): PlacementPlan {
  const candidates: Candidate[] = [];
  const excluded: Excluded[] = [];
  const leaveOut = (candidate: Candidate, reason: string): void => {
    excluded.push({ variant: candidate.variant.name, provider: candidate.provider, reason });
  };
  for (const variant of variants) {
    for (const provider of variant.providers) {
      const candidate = { variant, provider };
      if (provider !== CPU && !offered.includes(provider)) leaveOut(candidate, 'the runtime on this device does not offer the provider');
      else if (variant.memoryBytes !== undefined && freeBytes !== undefined && variant.memoryBytes > freeBytes)
        leaveOut(candidate, `it needs ${variant.memoryBytes} bytes of memory, ${freeBytes} are free`);
      else {
        const verdict = provider === CPU ? undefined : recall(candidate);
        // R6: neither a provider that crashed the process nor one that was wrong here is tried again.
        if (verdict?.kind === 'trying') leaveOut(candidate, 'the process ended while it was tried before');
        else if (verdict?.kind === 'wrong') leaveOut(candidate, `it was wrong here before: ${verdict.reason}`);
        else candidates.push(candidate);
      }
    }
  }
  const rank = (candidate: Candidate): number => (candidate.provider === CPU ? 0 : 1);
  return { candidates: candidates.toSorted((a, b) => rank(a) - rank(b)), excluded };
}

/** True when `next` is to be preferred over `best`, which came before it (CPU first): faster by more than noise. */
export function beats(next: Millis, best: Millis): boolean {
  return next < best * FASTER;
}

/**
 * The candidate to load when all have a remembered figure, else undefined: then they are measured. Pure.
 */
export function chooseRemembered(
  candidates: readonly Candidate[],
  recall: (candidate: Candidate) => Verdict | undefined,
): Candidate | undefined {
  let best: { candidate: Candidate; millis: Millis } | undefined;
  for (const candidate of candidates) {
    const verdict = recall(candidate);
    if (verdict?.kind !== 'right') return undefined;
    if (best === undefined || beats(verdict.millis, best.millis)) best = { candidate, millis: verdict.millis };
  }
  return best?.candidate;
}
