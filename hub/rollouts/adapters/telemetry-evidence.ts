import { counted } from '#shared/kernel/counted.js';
import type { Db } from '#hub/store/database.js';
import type { SignalTable } from '#shared/signals/table.js';
import type { Clock } from '#shared/kernel/clock.js';
import { hours, type Millis, minutes, seconds } from '#shared/kernel/time.js';
import type { Evidence, EvidenceQuery, EvidenceSource } from '../evidence-source.js';
import { gateName } from '../gate-document.js';
import { RunningEvidence } from './running-evidence.js';

interface TelemetryEvidenceDeps {
  readonly db: Db;
  readonly clock: Clock;
  /** Width of a bucket of one device in `metrics_device`. */
  readonly bucket: Millis;
  /** How far back a device's own history is looked at (default 24 h: every time of the day once). */
  readonly history?: Millis;
  /** Figures are worked out again at most so often (default 15 s), and never more than a twentieth of the time is spent on it. */
  readonly refresh?: Millis;
  /** Longest a look reads from the beginning what it does not know yet (default 1 s); the next one goes on. */
  readonly patience?: Millis;
  readonly signals?: SignalTable;
}

interface Followed {
  readonly key: string;
  readonly reader: RunningEvidence;
  usedAt: Millis;
  /** The newest figures, for whom they were worked out, and how long they are good for. */
  last: { readonly of: string; readonly evidence: Evidence; readonly until: Millis } | undefined;
}

/** Sums of a rollout nobody asked for are dropped after this long, and read again when somebody does. */
const IDLE = minutes(10);

/** Figures of gates from what devices reported, per device and bucket. */
export class TelemetryEvidence implements EvidenceSource {
  readonly #deps: TelemetryEvidenceDeps;
  readonly #followed = new Map<string, Followed>();

  constructor(deps: TelemetryEvidenceDeps) {
    this.#deps = deps;
  }

  async figures(query: EvidenceQuery): Promise<Evidence> {
    const { clock } = this.#deps;
    const begun = clock.monotonic();
    const followed = this.#follow(query, begun);
    const of = `${query.waves.length}/${query.canary().length}`;
    if (followed.last?.of === of && begun < followed.last.until) return followed.last.evidence;
    try {
      const patience = this.#deps.patience ?? seconds(1);
      const looked = await followed.reader.look(query, () => clock.monotonic() - begun >= patience);
      if (typeof looked === 'number') return notYet(query, looked);
      const now = clock.monotonic();
      followed.last = { of, evidence: looked, until: now + Math.max(this.#deps.refresh ?? seconds(15), (now - begun) * 20) };
      return looked;
    } catch (thrown) {
      // What was half taken in is read again.
      this.#followed.delete(query.rollout);
      throw thrown;
    }
  }

  #follow(query: EvidenceQuery, now: Millis): Followed {
    for (const [rollout, { usedAt }] of this.#followed) if (now - usedAt > IDLE) this.#followed.delete(rollout);
    const key = JSON.stringify([query.model, query.version, query.waves[0]?.from, query.gates]);
    const known = this.#followed.get(query.rollout);
    if (known?.key === key) {
      known.usedAt = now;
      return known;
    }
    const { db, bucket, history = hours(24), signals } = this.#deps;
    const made: Followed = { key, reader: new RunningEvidence({ db, bucket, history, signals }, query), usedAt: now, last: undefined };
    this.#followed.set(query.rollout, made);
    return made;
  }
}

/** Gates wait: what is not read yet may say anything. */
function notYet(query: EvidenceQuery, devices: number): Evidence {
  const why = `the reports of ${counted(devices, 'device')} have still to be read`;
  return {
    evidence: { predictions: 0, devices: 0 },
    gates: query.gates.map((gate) => ({ gate: gateName(gate), kind: 'missing', why })),
  };
}
