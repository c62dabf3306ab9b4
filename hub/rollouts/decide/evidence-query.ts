import type { EpochMillis } from '#shared/kernel/time.js';
import { controlOf, installFigures, tookBack, waveProgress } from './devices.js';
import type { WaveSpan } from './evidence/layout.js';
import type { EvidenceQuery } from '../evidence-source.js';
import type { GateFigures, WaveProgress } from '../figures.js';
import type { RolloutDevice, RolloutRecord } from '../record.js';

// What the decisions about the wave under way rest on. Pure.

/** How far the devices of the wave are, and what the install gate sees of them. */
export function installed(
  record: RolloutRecord,
  rows: readonly RolloutDevice[],
): { readonly progress: WaveProgress; readonly install: GateFigures } {
  const progress = waveProgress(rows, record.wave);
  const figures = installFigures(progress, record.document.silent.as);
  return { progress, install: { gate: 'install', kind: 'install', ...figures, tookBack: tookBack(rows, record.wave) } };
}

/** What to ask of the telemetry. */
export function evidenceQuery(record: RolloutRecord, rows: readonly RolloutDevice[], to: EpochMillis): EvidenceQuery {
  const { id, document, plan } = record;
  return {
    rollout: id,
    model: document.model,
    version: document.version,
    waves: spansOf(record),
    plan: plan.waves.map((planned) => planned.gates),
    countRefused: plan.narrowed !== undefined,
    to,
    // A device that ran the version and took itself back is part of the evidence: leaving it out would hide the worst ones.
    canary: () => rows.filter((row) => row.status === 'installed' || row.status === 'failed').map((row) => row.device),
    control: () => controlOf(rows, record),
    gates: (plan.waves[record.wave]?.gates ?? []).filter((gate) => gate.gate !== 'install'),
  };
}

/** The waves whose evidence counts. */
function spansOf({ begun, wave, waveFrom, since, plan, document }: RolloutRecord): WaveSpan[] {
  const counted = begun.length > 0 ? begun : [{ wave, at: waveFrom ?? since }];
  return counted.map(({ wave: index, at }) => ({ from: at, lasts: plan.waves[index]?.deadline ?? document.deadline }));
}
