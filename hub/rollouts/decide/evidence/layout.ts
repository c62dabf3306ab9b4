import { type EpochMillis, type Millis, minutes } from '#shared/kernel/time.js';

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
  /** Waves that began, the one under way last. */
  readonly waves: readonly WaveSpan[];
}

/** `planned`: how many waves there will be. */
export function layoutOf(waves: readonly WaveSpan[], planned: number): Layout {
  return { waves, perWave: Math.max(1, Math.min(MAX_STRATA, Math.floor(MAX_STRATA_OF_ALL / planned))) };
}

/** The wave a stretch of time counts for. The stretch in which a wave began counts whole for it: waves may be shorter than a stretch. */
function waveOf({ waves }: Layout, from: EpochMillis, length: Millis): number {
  let wave = waves.length - 1;
  while (wave > 0 && (waves[wave]?.from ?? 0) >= from + length) wave -= 1;
  return Math.max(0, wave);
}

/** The wave a stratum belongs to. */
export function waveOfStratum({ perWave }: Layout, stratum: number): number {
  return Math.floor(stratum / perWave);
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
  const wave = layout.waves.findLastIndex(({ from }) => from <= at);
  const span = layout.waves[wave];
  if (span === undefined) return 0;
  return wave * layout.perWave + Math.min(layout.perWave, Math.ceil((at - span.from) / widthOf(layout, span)));
}

function widthOf({ perWave }: Layout, { lasts }: WaveSpan): Millis {
  return Math.max(minutes(1), lasts / perWave);
}
