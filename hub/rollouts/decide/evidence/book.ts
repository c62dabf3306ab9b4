import type { EpochMillis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { pearsonDispersion } from '#shared/stats/dispersion.js';
import { AGES, type GateFigures } from '../../figures.js';
import type { SignalTable } from '#shared/signals/table.js';
import type { Gate } from '../../gate.js';
import { gateName } from '../../gate-document.js';
import { ruleOf } from '../gate-rule.js';
import { BEYOND, Columns, EXPECTED, EXPOSURE, LIMITED, type MeterColumns, PREDICTIONS, RULED_OUT, TOLERATED, VALUES } from './columns.js';
import { compare, controlSums, rowFrom, rowsFrom } from './compared.js';
import { Lane } from './lane.js';
import { firstStratumFrom, type Layout, layoutOf, type WaveSpan } from './layout.js';
import { outputFigures } from './outputs.js';
import type { Evidence } from '../../evidence-source.js';
import type { Baseline, DeviceWindow, Group } from './window.js';

interface BookOptions {
  readonly gates: readonly Gate[];
  /** What a device reported before the rollout on the old version. */
  readonly baseline: (device: DeviceId) => Baseline | undefined;
  /** The same of all devices together. */
  readonly fleet: Baseline | undefined;
  /** Waves of the rollout, begun or not. */
  readonly planned: number;
  readonly signals?: SignalTable | undefined;
}

export interface Look {
  /** As of when. */
  readonly to: EpochMillis;
  /** Devices that took the version up: their windows of it are the canary's. */
  readonly canary: { has(device: DeviceId): boolean };
  /** Devices whose windows of other versions are the control's. */
  readonly control: { has(device: DeviceId): boolean };
}

type Sides = Readonly<Record<Group, readonly Lane[]>>;

/** The rows of the canary's lanes that comparisons begin with: all of them, those of some age, those of the wave. */
interface Rows {
  readonly whole: Int32Array;
  readonly aged: readonly Int32Array[];
  readonly wave: Int32Array;
}

/** Control devices left out of the variation, as the worst canary device is left out of the comparison. */
const TRIM = 0.02;

/**
 * Running sums of what devices reported since the evidence of a rollout began, and the figures of its gates from them. What
 * shows that the version is worse is carried through all waves; what shows that it is good enough, each wave has to show anew.
 */
export class EvidenceBook {
  readonly #options: BookOptions;
  readonly #columns: Columns;
  readonly #horizon: number;
  readonly #lanes = new Map<string, Lane>();
  #sorted: readonly Lane[] | undefined;
  #layout: Layout;

  constructor(options: BookOptions) {
    this.#options = options;
    this.#columns = new Columns(options.gates, options.fleet, options.signals);
    this.#layout = layoutOf([], options.planned);
    this.#horizon = Math.max(
      0,
      ...options.gates.map((gate) => ('objective' in gate ? Math.max(...gate.windows.map(({ long }) => long)) : 0)),
    );
  }

  /** Waves that began, oldest first; the newest is under way. Comes before everything else. */
  begin(waves: readonly WaveSpan[]): void {
    if (waves.length === this.#layout.waves.length && waves.every((wave, i) => wave.from === this.#layout.waves[i]?.from)) return;
    this.#layout = layoutOf(waves, this.#options.planned);
    for (const lane of this.#lanes.values()) lane.restratify(this.#layout);
  }

  /** The sums of one device and version; made when there are none. */
  lane(device: DeviceId, group: Group, version = 0): Lane {
    const key = `${device} ${group} ${version}`;
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const made = new Lane({ device, group, version }, this.#columns.width, this.#horizon);
    this.#lanes.set(key, made);
    this.#sorted = undefined;
    return made;
  }

  /** Takes a window, or a newer state of the one taken last; false when an older one comes late and the lane must be read again. */
  put(lane: Lane, window: DeviceWindow): boolean {
    return lane.put(this.#layout, window, this.#columns.read(window, lane.group, this.#options.baseline(window.device)));
  }

  figures({ to, canary, control }: Look): Evidence {
    const lanes = this.#inOrder();
    const sides: Sides = {
      canary: lanes.filter((lane) => lane.group === 'canary' && canary.has(lane.device)),
      control: lanes.filter((lane) => lane.group === 'control' && control.has(lane.device)),
    };
    const rows: Rows = {
      whole: rowsFrom(sides.canary, () => 0),
      aged: AGES.map((age) => rowsFrom(sides.canary, (lane) => firstStratumFrom(this.#layout, (lane.first ?? 0) + age))),
      wave: rowsFrom(sides.canary, () => this.#waveBegin),
    };
    const predictions = sides.canary.map((lane) => this.#inWave(lane, PREDICTIONS));
    return {
      evidence: {
        predictions: predictions.reduce((sum, count) => sum + count, 0),
        devices: predictions.filter((count) => count > 0).length,
      },
      gates: this.#options.gates.filter((gate) => gate.gate !== 'install').map((gate) => this.#figuresOf(gate, to, sides, rows)),
    };
  }

  #figuresOf(gate: Gate, to: EpochMillis, sides: Sides, rows: Rows): GateFigures {
    const name = gateName(gate);
    const meter = this.#columns.meters.find((columns) => columns.gate === name);
    if (meter !== undefined) return this.#comparison(meter, sides, rows);
    const rule = ruleOf(gate, this.#options.signals);
    if (rule.test === 'limit') return this.#rate(name, rule.signal.name, sides.canary);
    const level = this.#columns.levels.get(name);
    if (level !== undefined) return this.#level(name, level, sides.canary);
    const wave = this.#layout.waves.length - 1;
    if (rule.test === 'distance') return outputFigures(name, wave, sides.canary, sides.control);
    if (rule.test === 'burn')
      return {
        gate: name,
        kind: 'burn',
        windows: rule.gate.windows.map(({ long, short }) => ({
          long: since(sides.canary, wave, to - long),
          short: since(sides.canary, wave, to - short),
        })),
      };
    return { gate: name, kind: 'failed', why: 'no figures are collected for this gate' };
  }

  #comparison({ gate, at }: MeterColumns, { canary, control }: Sides, rows: Rows): GateFigures {
    const units = control.map(({ totals }) => ({ events: totals[at + TOLERATED] ?? 0, exposure: totals[at + EXPECTED] ?? 0 }));
    const canaryDevices = canary.filter(({ totals }) => (totals[at + EXPECTED] ?? 0) > 0).length;
    const controlDevices = units.filter((unit) => unit.exposure > 0).length;
    if (canaryDevices + controlDevices === 0) return { gate, kind: 'missing', why: 'no device reported what this gate compares' };
    const { width } = this.#columns;
    const strata = this.#layout.waves.length * this.#layout.perWave;
    const tolerated = { width, at, events: TOLERATED };
    const ruledOut = { width, at, events: RULED_OUT };
    const begin = this.#waveBegin;
    const against = controlSums(control, tolerated, strata);
    return {
      gate,
      kind: 'comparison',
      tolerated: compare(canary, against, tolerated, rows.whole),
      aged: rows.aged.map((first) => {
        const compared = compare(canary, against, tolerated, first);
        // Strata in which nobody was of that age say nothing; recorded figures need not carry them.
        const reached = compared.strata.some((stratum) => stratum.canaryExposure > 0);
        return reached ? compared : { strata: [] };
      }),
      ruledOut: { strata: compare(canary, controlSums(control, ruledOut, strata, begin), ruledOut, rows.wave).strata },
      dispersion: pearsonDispersion(units, TRIM),
      canaryDevices,
      controlDevices,
      events: canary.reduce((sum, lane) => sum + this.#inWave(lane, at + TOLERATED), 0),
      exposure: canary.reduce((sum, lane) => sum + this.#inWave(lane, at + EXPOSURE), 0),
    };
  }

  #rate(gate: string, name: string, canary: readonly Lane[]): GateFigures {
    const at = this.#columns.rates.get(name) ?? 0;
    const exposures = canary.map((lane) => this.#inWave(lane, at + 1));
    const devices = exposures.filter((exposure) => exposure > 0).length;
    if (devices === 0) return { gate, kind: 'missing', why: `no device reported ${name}` };
    const events = canary.reduce((sum, lane) => sum + this.#inWave(lane, at), 0);
    return { gate, kind: 'rate', events, exposure: exposures.reduce((sum, exposure) => sum + exposure, 0), devices };
  }

  #level(gate: string, at: number, canary: readonly Lane[]): GateFigures {
    const units = canary
      .map((lane) => ({
        events: this.#inWave(lane, at + LIMITED),
        beyond: this.#inWave(lane, at + BEYOND),
        exposure: this.#inWave(lane, at + VALUES),
      }))
      .filter((unit) => unit.exposure > 0);
    if (units.length === 0) return { gate, kind: 'missing', why: 'no device reported what this gate limits' };
    const sum = (of: 'events' | 'beyond' | 'exposure'): number => units.reduce((total, unit) => total + unit[of], 0);
    const counts = { events: sum('events'), beyond: sum('beyond'), exposure: sum('exposure') };
    return { gate, kind: 'level', ...counts, dispersion: pearsonDispersion(units, TRIM), devices: units.length };
  }

  /** By device, so that sums of fractions do not depend on who reported first (R8). */
  #inOrder(): readonly Lane[] {
    this.#sorted ??= [...this.#lanes].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, lane]) => lane);
    return this.#sorted;
  }

  /** First stratum of the wave under way. */
  get #waveBegin(): number {
    return (this.#layout.waves.length - 1) * this.#layout.perWave;
  }

  #inWave(lane: Lane, column: number): number {
    return this.#sum(lane, column, this.#waveBegin);
  }

  #sum(lane: Lane, column: number, stratum: number): number {
    let sum = 0;
    for (let row = rowFrom(lane, stratum); row < lane.strata.length; row++) sum += lane.cells[row * this.#columns.width + column] ?? 0;
    return sum;
  }
}

function since(canary: readonly Lane[], wave: number, from: EpochMillis): { events: number; exposure: number } {
  const sum = { events: 0, exposure: 0 };
  for (const lane of canary) {
    const { events, exposure } = lane.since(wave, from);
    sum.events += events;
    sum.exposure += exposure;
  }
  return sum;
}
