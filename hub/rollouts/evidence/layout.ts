import { type EpochMillis, type Millis, minutes } from '#shared/kernel/clock.js';

/** Most strata one wave is cut into; windows after its deadline join the last one. */
const MAX_STRATA = 32;
/** Strata of all planned waves together; `figures.ts` holds some more, for waves that begin a second time. */
const MAX_STRATA_OF_ALL = 192;

/** When a wave began, and how long it may take. */
export interface WaveSpan {
  readonly from: EpochMillis;
  readonly lasts: Millis;
}

/**
 * How the time of a rollout is cut: each wave into as many strata of equal length, fixed before anything is seen. What
 * comes between two waves belongs to the earlier one's last.
 */
export interface Layout {
  readonly perWave: number;
  /** Waves that began, the one under way last; never empty. */
  readonly waves: readonly WaveSpan[];
}

/** `planned`: how many waves there will be. */
export function layoutOf(waves: readonly WaveSpan[], planned: number): Layout {
  return { waves, perWave: Math.max(1, Math.min(MAX_STRATA, Math.floor(MAX_STRATA_OF_ALL / planned))) };
}

/** The wave a stretch of time counts for. The stretch in which a wave began counts whole for it: waves may be shorter than a stretch. */
export function waveOf({ waves }: Layout, from: EpochMillis, length: Millis): number {
  const found = waves.findLastIndex((wave) => wave.from < from + length);
  return Math.max(0, found);
}

/** The stratum of a stretch of time, counted over all waves. */
export function stratumOf(layout: Layout, from: EpochMillis, length: Millis): number {
  const wave = waveOf(layout, from, length);
  const span = layout.waves[wave] ?? { from: 0, lasts: 0 };
  const within = Math.floor((from - span.from) / widthOf(layout, span));
  return wave * layout.perWave + Math.min(layout.perWave - 1, Math.max(0, within));
}

/** First stratum that begins at `at` or later. */
export function firstStratumFrom(layout: Layout, at: EpochMillis): number {
  for (const [index, span] of layout.waves.entries()) {
    const within = Math.max(0, Math.ceil((at - span.from) / widthOf(layout, span)));
    if (within < layout.perWave) return index * layout.perWave + within;
  }
  return layout.waves.length * layout.perWave;
}

function widthOf({ perWave }: Layout, { lasts }: WaveSpan): Millis {
  return Math.max(minutes(1), lasts / perWave);
}
