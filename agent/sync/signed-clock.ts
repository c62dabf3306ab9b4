import type { Clock } from '#shared/kernel/clock.js';
import { type EpochMillis, type Millis, minutes } from '#shared/kernel/time.js';
import {
  CLOCK_AHEAD_LIMIT,
  clocksAgree,
  type MeasuredTime,
  measuredTime,
  type TimeEvidence,
  type TrustedTime,
  trustedTime,
} from '#shared/trust/decide/trusted-time.js';
import type { StateStore } from '#agent/store/contract.js';
import type { EventSink } from '#agent/store/events.js';

const KEY = 'sync.signed-time';
const CONFIRMED_KEY = 'sync.clock-confirmed';
/** A clock that moved by less than this against the time since the machine was switched on was not set. */
const STEADY: Millis = minutes(2);

interface SignedClockDeps {
  readonly state: StateStore;
  readonly clock: Clock;
  readonly events: EventSink;
  /** Time since the machine was switched on, sleep included. */
  readonly uptime: () => Millis;
}

/**
 * The time the device judges expiry by: the wall clock, but never before the newest signed time, which is kept across restarts. Tells
 * the hub when the wall clock cannot be right.
 *
 * The wall clock is *confirmed* once it agreed with a statement new to the device, until it is set or the machine is switched off: then
 * the hub's word is held against it as well, and nothing is accepted that is dated more than a day ahead of it. A clock that is not
 * confirmed (no battery, never online) has nothing to hold against the hub's word.
 */
export class SignedClock {
  readonly #deps: SignedClockDeps;
  #freshest: { readonly signed: EpochMillis; readonly at: Millis } | undefined;
  #justReceived: { readonly signed: EpochMillis; readonly at: Millis } | undefined;
  /** Wall clock minus uptime when it was confirmed. */
  #confirmedBase: Millis | undefined;
  #trusted = true;

  private constructor(deps: SignedClockDeps, freshest: EpochMillis | undefined, confirmedBase: Millis | undefined) {
    this.#deps = deps;
    this.#freshest = freshest === undefined ? undefined : { signed: freshest, at: deps.clock.monotonic() };
    this.#confirmedBase = confirmedBase;
  }

  static async open(deps: SignedClockDeps): Promise<SignedClock> {
    const [stored, base] = [await deps.state.get(KEY), await deps.state.get(CONFIRMED_KEY)].map(Number);
    return new SignedClock(deps, positive(stored), positive(base));
  }

  /** Time of the newest signed statement, epoch milliseconds. */
  get freshest(): EpochMillis | undefined {
    return this.#freshest?.signed;
  }

  now(): TrustedTime {
    const time = trustedTime(this.#evidence());
    if (!time.trusted && this.#trusted) this.#deps.events.emit({ kind: 'clock.untrusted', detail: { reason: time.reason } });
    this.#trusted = time.trusted;
    return time;
  }

  /** What measurements are dated with now. */
  measured(): MeasuredTime {
    return measuredTime(this.#evidence());
  }

  /** True while the wall clock is known to be right without the hub's word. */
  get confirmed(): boolean {
    const { clock, uptime } = this.#deps;
    return this.#confirmedBase !== undefined && Math.abs(clock.now() - uptime() - this.#confirmedBase) <= STEADY;
  }

  /** The latest time that trust metadata may be dated with; any the owner of the root allowed (its own expiry) while the clock is not confirmed. */
  get latestMetadata(): EpochMillis | undefined {
    return this.confirmed ? this.#deps.clock.now() + CLOCK_AHEAD_LIMIT : undefined;
  }

  /** The latest time that a desired state may be dated with: metadata is signed every hour, and none may lie far beyond it. */
  get latestStatement(): EpochMillis {
    const { freshestSigned = 0, wall } = this.#evidence();
    return (this.confirmed ? wall : Math.max(wall, freshestSigned)) + CLOCK_AHEAD_LIMIT;
  }

  /**
   * Takes in the time of accepted trust metadata; `fresh` when it is new to the device. The newest version is the hub's last word on the
   * time, also where it is earlier than the one before: the hub's clock was wrong then. Resolves when it is kept.
   */
  async observeMetadata(signed: EpochMillis, fresh: boolean): Promise<void> {
    const { clock } = this.#deps;
    if (!fresh) return this.observeStatement(signed);
    this.#justReceived = { signed, at: clock.monotonic() };
    await this.#keep(signed);
    if (clocksAgree(clock.now(), signed)) await this.#confirm();
  }

  /** Takes in the time of an accepted desired state. Resolves when it is kept. */
  async observeStatement(signed: EpochMillis): Promise<void> {
    if (signed > (this.#freshest?.signed ?? 0)) await this.#keep(signed);
  }

  async #keep(signed: EpochMillis): Promise<void> {
    const { state, clock } = this.#deps;
    const before = this.#freshest?.signed;
    this.#freshest = { signed, at: clock.monotonic() };
    if (before !== signed) await state.set(KEY, String(signed));
  }

  async #confirm(): Promise<void> {
    const { state, clock, uptime } = this.#deps;
    const known = this.confirmed;
    this.#confirmedBase = clock.now() - uptime();
    if (!known) await state.set(CONFIRMED_KEY, String(Math.round(this.#confirmedBase)));
  }

  #evidence(): TimeEvidence {
    const { clock } = this.#deps;
    // What was signed then is by now as much later as the monotonic clock says.
    const since = (word: { readonly signed: EpochMillis; readonly at: Millis } | undefined): EpochMillis | undefined =>
      word === undefined ? undefined : word.signed + (clock.monotonic() - word.at);
    return { wall: clock.now(), freshestSigned: since(this.#freshest), justReceived: since(this.#justReceived) };
  }
}

function positive(value: number | undefined): number | undefined {
  return value !== undefined && Number.isSafeInteger(value) && value > 0 ? value : undefined;
}
