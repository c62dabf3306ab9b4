import { type EpochMillis, type Millis, minutes } from '#shared/kernel/time.js';
import type { AuditEntry } from './audit-entry.js';

interface RefusalLimits {
  readonly window: Millis;
  /** Refusals of strangers recorded one by one in a window. */
  readonly each: number;
  /** Addresses told apart in a sum. */
  readonly addresses: number;
}

const DEFAULTS: RefusalLimits = { window: minutes(15), each: 25, addresses: 1_000 };

interface Sum {
  readonly first: AuditEntry;
  readonly since: EpochMillis;
  until: EpochMillis;
  count: number;
  readonly addresses: Set<string>;
}

/**
 * Which refusals of callers without a token the audit log gets one by one, and which as a sum: whoever has many addresses is not held
 * back by limits on each of them, and must not fill a log that is kept for a year. Pure bookkeeping; what was done is never summed.
 */
export class RefusalSums {
  readonly #limits: RefusalLimits;
  #since: EpochMillis = Number.NEGATIVE_INFINITY;
  #recorded = 0;
  /** By action and code, of which there are a few. */
  readonly #sums = new Map<string, Sum>();

  constructor(limits: RefusalLimits = DEFAULTS) {
    this.#limits = limits;
  }

  /** What to record now that this was refused: sums of a window that is over, and itself while there is room. */
  take(entry: AuditEntry, now: EpochMillis): AuditEntry[] {
    const isOver = this.isOver(now);
    const entries = isOver ? this.end() : [];
    if (isOver) this.#begin(now);
    this.#recorded += 1;
    if (this.#recorded <= this.#limits.each) return [...entries, entry];
    this.#add(entry, now);
    return entries;
  }

  /** True when the window that began last has ended, or the clock went back behind it. */
  isOver(now: EpochMillis): boolean {
    return now < this.#since || now - this.#since >= this.#limits.window;
  }

  /** Sums not recorded yet; they begin anew. */
  end(): AuditEntry[] {
    const entries = [...this.#sums.values()].map(entryOf);
    this.#sums.clear();
    return entries;
  }

  #begin(now: EpochMillis): void {
    this.#since = now;
    this.#recorded = 0;
  }

  #add(entry: AuditEntry, now: EpochMillis): void {
    const key = `${entry.action} ${entry.code ?? ''}`;
    const sum = this.#sums.get(key) ?? { first: entry, since: now, until: now, count: 0, addresses: new Set<string>() };
    this.#sums.set(key, sum);
    sum.until = now;
    sum.count += 1;
    if (sum.addresses.size < this.#limits.addresses) sum.addresses.add(entry.source);
  }
}

/** One record for all of them; `addresses` is the number told apart. */
function entryOf({ first, since, until, count, addresses }: Sum): AuditEntry {
  const { actor, action, outcome, code, source, requestId } = first;
  const [kind = ''] = first.target.split('/');
  return {
    actor,
    action,
    target: kind,
    source: addresses.size === 1 ? source : `${addresses.size} addresses`,
    outcome,
    ...(code === undefined ? {} : { code }),
    requestId,
    detail: { refusals: count, addresses: addresses.size, from: new Date(since).toISOString(), to: new Date(until).toISOString() },
  };
}
