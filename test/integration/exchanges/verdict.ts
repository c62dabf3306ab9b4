import type { Replayed } from './http-replay.js';
import type { DifferenceRule } from './rules.js';

/** What a replay shows. */
export interface Verdict {
  /** Exchanges with a difference that no rule covers, as text. */
  readonly unexplained: readonly string[];
  /** Rules that cover nothing any more. */
  readonly idle: readonly string[];
  readonly equal: number;
  readonly explained: number;
}

/** Holds what was replayed against the rules. */
export function judge(played: readonly Replayed[], rules: readonly DifferenceRule[]): Verdict {
  const used = new Set<DifferenceRule>();
  const unexplained: string[] = [];
  let equal = 0;
  let explained = 0;
  for (const { exchange, differences, ours } of played) {
    const left = differences.filter((difference) => {
      const covering = rules.filter((rule) => rule.covers(exchange, difference));
      for (const rule of covering) used.add(rule);
      return covering.length === 0;
    });
    if (differences.length === 0) equal++;
    else if (left.length === 0) explained++;
    if (left.length === 0) continue;
    const shown = left.slice(0, 4).map(({ at, theirs, ours: our }) => `${at}: ${theirs} | ${our}`);
    const answer = ours === undefined || ours.status < 400 ? '' : ` ${ours.body.toString('utf8').slice(0, 200)}`;
    unexplained.push(`${exchange.id} (${exchange.why}): ${shown.join('; ')}${answer}`);
  }
  return { unexplained, idle: rules.filter((rule) => !used.has(rule)).map(({ what }) => what), equal, explained };
}
