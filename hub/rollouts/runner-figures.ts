import type { Clock } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { isBeside } from './document.js';
import { evidenceQuery, installed } from './decide/evidence-query.js';
import { rollbackProgress } from './decide/devices.js';
import type { EvidenceSource } from './evidence-source.js';
import type { WaveFigures } from './figures.js';
import { gateName } from './gate-document.js';
import { isReturning } from './decide/machine.js';
import { tellableTime, type Zones } from './decide/schedule.js';
import { outcomeQuery } from './decide/trial-outcome-query.js';
import type { TrialOutcomeSource } from './ports.js';
import type { RolloutDevice, RolloutRecord } from './record.js';

export interface FigureSources {
  readonly evidence: EvidenceSource;
  readonly outcomes: TrialOutcomeSource;
  readonly clock: Clock;
  readonly logger: Logger;
}

const NO_EVIDENCE = { predictions: 0, devices: 0 } as const;

/** Figures of the wave or the way back under way, as a decision would see them now; `undefined` in states that need none. */
export async function readFigures(
  record: RolloutRecord,
  rows: readonly RolloutDevice[],
  zones: Zones,
  { clock, evidence, logger }: FigureSources,
): Promise<WaveFigures | undefined> {
  if (isReturning(record.state)) return { progress: rollbackProgress(record, rows), evidence: NO_EVIDENCE, gates: [] };
  const { progress, install } = installed(record, rows);
  if (record.state === 'scheduled') return { progress, evidence: NO_EVIDENCE, gates: [] };
  if (record.state !== 'installing' && record.state !== 'baking' && record.state !== 'evaluating') return undefined;
  const now = clock.now();
  const query = evidenceQuery(record, rows, now);
  const ran = record.deadlineFrom === null ? {} : { deadlineRan: tellableTime(record.document.schedule, zones, record.deadlineFrom, now) };
  try {
    const collected = await evidence.figures(query);
    return { progress, evidence: collected.evidence, gates: [install, ...collected.gates], ...ran };
  } catch (thrown) {
    // A gate that cannot be computed stops the rollout; it never counts as passed.
    const why = asSkerryError(thrown).message.slice(0, 512);
    logger.error({ rollout: record.id, cause: why }, 'the figures of a rollout could not be read');
    const failed = query.gates.map((gate) => ({ gate: gateName(gate), kind: 'failed' as const, why }));
    return { progress, evidence: NO_EVIDENCE, gates: [install, ...failed], ...ran };
  }
}

/** What the two sides of a trial came to is kept with the decision that ends it: single devices' figures are dropped after days. */
export async function withOutcome(
  figures: WaveFigures,
  record: RolloutRecord,
  rows: readonly RolloutDevice[],
  { clock, logger, outcomes }: FigureSources,
): Promise<WaveFigures> {
  if (!isBeside(record.document)) return figures;
  try {
    return { ...figures, outcome: await outcomes.outcome(outcomeQuery(record, rows, clock.now())) };
  } catch (thrown) {
    logger.error({ rollout: record.id, cause: asSkerryError(thrown).message }, 'the outcome could not be read');
    return figures;
  }
}
