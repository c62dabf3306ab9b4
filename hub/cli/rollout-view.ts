import { counted } from '#shared/kernel/counted.js';
import { formatAgo, formatDuration } from '#shared/terminal/format.js';
import { type Output, paint, printLine, printTable } from '#shared/terminal/output.js';
import { EXIT, type ExitCode } from '#shared/terminal/run-cli.js';
import type { TrialOutcome } from '#hub/rollouts/decide/trial-outcome.js';
import type { DecisionView, PlanView, RolloutDetail } from '../rollouts/views.js';
import { printIncapable } from './incapable-view.js';

const COLOUR = { pass: 'green', fail: 'red', error: 'red', insufficient: 'yellow' } as const;
const BAR = 20;

/** A rollout as `show` and `watch` print it: waves with bars, gates with their evidence, what it waits for. */
export function printRollout(out: Output, rollout: RolloutDetail, now: number, notes = true): void {
  const title = `${rollout.id}: ${rollout.model}@${rollout.version} to ${rollout.cohort === '' ? 'all devices' : rollout.cohort}`;
  printLine(out, `${paint(out, 'bold', title)} (${rollout.strategy})`);
  printLine(out, `${rollout.state} since ${formatAgo(Date.parse(rollout.since), now)}; created by ${rollout.createdBy}`);
  printTable(
    out,
    [
      { title: '', value: (wave: (typeof rollout.waveViews)[number]) => (rollout.waveViews[rollout.wave] === wave ? '>' : '') },
      { title: 'wave', value: (wave) => wave.name },
      { title: 'progress', value: (wave) => bar(wave.counts) },
      { title: 'installed', align: 'right', value: (wave) => wave.counts.installed },
      { title: 'failed', align: 'right', value: (wave) => wave.counts.failed },
      { title: 'silent', align: 'right', value: (wave) => wave.counts.silent + wave.counts.unproven },
      { title: 'back', align: 'right', value: (wave) => wave.counts.reverted },
      { title: 'out', align: 'right', value: (wave) => wave.counts.released + wave.counts.unsupported || undefined },
      { title: 'of', align: 'right', value: (wave) => total(wave.counts) },
      { title: 'bake', value: (wave) => (wave.bakeSeconds === 0 ? undefined : formatDuration(wave.bakeSeconds * 1_000)) },
      { title: 'approval', value: (wave) => wave.approval ?? undefined },
    ],
    rollout.waveViews,
  );
  if (notes) {
    for (const warning of rollout.warnings) printLine(out, paint(out, 'yellow', `note: ${warning}`));
    printIncapable(out, 'left out', rollout.incapable);
  }
  printWindow(out, rollout.window, now);
  printGates(out, rollout);
  if (rollout.lastDecision !== null) {
    const { at, event, reason, actor } = rollout.lastDecision;
    printLine(out, `last: ${event} by ${actor}, ${formatAgo(Date.parse(at), now)}: ${reason}`);
  }
  if (rollout.actions.length > 0) printLine(out, paint(out, 'dim', `possible now: ${rollout.actions.join(', ')}`));
}

function printGates(out: Output, { outlook }: RolloutDetail): void {
  if (outlook === null) return;
  for (const result of outlook.results) {
    printLine(out, `  ${paint(out, COLOUR[result.outcome], result.outcome.padEnd(12))} ${result.gate}: ${result.reason}`);
  }
  const { figures } = outlook;
  if (figures !== null)
    printLine(
      out,
      `  ${counted(figures.evidence.predictions, 'prediction')} on ${counted(figures.evidence.devices, 'device')} in this wave`,
    );
  if (outlook.waitingFor !== null) printLine(out, `waits for: ${outlook.waitingFor}`);
}

/** When the schedule lets somebody be told. */
function printWindow(out: Output, window: RolloutDetail['window'], now: number): void {
  if (window === null) return;
  const at = window.changes === null ? undefined : `${window.changes} (in ${formatDuration(Date.parse(window.changes) - now)})`;
  if (window.open) printLine(out, at === undefined ? 'schedule: devices may be told now' : `schedule: devices may be told until ${at}`);
  else
    printLine(
      out,
      at === undefined
        ? paint(out, 'yellow', 'schedule: closed, and no window opens within a year')
        : `schedule: closed; the next window opens ${at}`,
    );
}

/** The decision record: who or which gate, on which figures. */
export function printDecisions(out: Output, decisions: readonly DecisionView[]): void {
  for (const decision of decisions) {
    const { number, at, event, from, to, wave, actor, reason } = decision;
    printLine(out, paint(out, 'bold', `${number}. ${at}  ${event}: ${from} -> ${to}, wave ${wave + 1}`));
    printLine(out, `   by ${actor.name} (${actor.role}${actor.source === '' ? '' : `, ${actor.source}`}): ${reason}`);
    for (const result of decision.results) {
      printLine(out, `   ${paint(out, COLOUR[result.outcome], result.outcome.padEnd(12))} ${result.gate}: ${result.reason}`);
    }
  }
}

export function printPlan(out: Output, plan: PlanView, now: number): void {
  printTable(
    out,
    [
      { title: 'wave', value: (wave: PlanView['waves'][number]) => wave.name },
      { title: 'devices', align: 'right', value: (wave) => wave.devices.length },
      { title: 'does', value: (wave) => wave.action },
      { title: 'gates', value: (wave) => wave.gates.join(', ') },
      { title: 'approval', value: (wave) => wave.approval ?? undefined },
      { title: 'first of them', value: (wave) => wave.devices.slice(0, 3).join(', ') },
    ],
    plan.waves,
  );
  printWindow(out, plan.window, now);
  printIncapable(out, 'left out', plan.incapable);
  for (const warning of plan.warnings) printLine(out, paint(out, 'yellow', `note: ${warning}`));
}

/** Both versions side by side, and how they compare. */
export function printOutcome(out: Output, outcome: TrialOutcome): void {
  const sides = [
    { side: 'new', ...outcome.new },
    { side: 'old', ...outcome.old },
  ];
  printTable(
    out,
    [
      { title: '', value: (arm: (typeof sides)[number]) => arm.side },
      { title: 'version', value: (arm) => arm.versions.join(', ') },
      { title: 'devices', align: 'right', value: (arm) => arm.devices },
      { title: 'predictions', align: 'right', value: (arm) => arm.predictions },
      { title: 'failed', align: 'right', value: (arm) => share(arm.failed, arm.predictions) },
      { title: 'p50', align: 'right', value: (arm) => millis(arm.latency?.p50) },
      { title: 'p95', align: 'right', value: (arm) => millis(arm.latency?.p95) },
      {
        title: 'wrong answers',
        align: 'right',
        value: (arm) => (arm.feedback === null ? undefined : share(arm.feedback.wrong, arm.feedback.total)),
      },
      ...[...new Set(sides.flatMap((arm) => Object.keys(arm.metrics)))].map((name) => ({
        title: name,
        align: 'right' as const,
        value: (arm: (typeof sides)[number]) => digits(arm.metrics[name]?.p50),
      })),
    ],
    sides,
  );
  for (const { of, estimate, lower, upper } of outcome.ratios) {
    if (estimate === null) continue;
    const range = `95 % sure between ${digits(lower) ?? '0'} and ${digits(upper) ?? 'any'}`;
    printLine(out, `  new / old, ${of}: ${digits(estimate)} (${range})`);
  }
  if (outcome.shadow === null) return;
  const { compared, disagreed, dropped, cost } = outcome.shadow;
  printLine(
    out,
    `  ${share(disagreed, compared)} of ${compared} answers compared differ; ${dropped} copies were dropped because it was busy`,
  );
  if (cost !== null) printLine(out, `  a copy takes ${millis(cost.p50)} of computing, one in twenty more than ${millis(cost.p95)}`);
}

function share(events: number, of: number): string {
  return of === 0 ? '-' : `${digits((100 * events) / of)} %`;
}

function millis(value: number | undefined): string | undefined {
  return value === undefined ? undefined : `${digits(value)} ms`;
}

function digits(value: number | null | undefined): string | undefined {
  return value === null || value === undefined ? undefined : String(Number(value.toPrecision(3)));
}

/** Exit code of a rollout that somebody waits for to get to `goal`; `undefined` while it goes on by itself. */
export function exitOf(state: RolloutDetail['state'], goal: RolloutDetail['state'] = 'completed'): ExitCode | undefined {
  if (state === goal) return EXIT.ok;
  if (state === 'completed' || state === 'rolled-back' || state === 'aborted' || state === 'superseded') return EXIT.failed;
  return state === 'paused' || state === 'awaiting-approval' || state === 'draft' ? EXIT.partly : undefined;
}

type Counts = RolloutDetail['waveViews'][number]['counts'];

function total(counts: Counts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function bar(counts: Counts): string {
  const all = total(counts);
  const done = all === 0 ? 0 : Math.round((BAR * (all - counts.waiting - counts.told - counts.reverting - counts.holdout)) / all);
  return `${'#'.repeat(done)}${'.'.repeat(BAR - done)}`;
}
