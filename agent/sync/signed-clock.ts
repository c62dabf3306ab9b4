import type { Clock, EpochMillis } from '#shared/kernel/clock.js';
import { type TrustedTime, trustedTime } from '#shared/trust/trusted-time.js';
import type { StateStore } from '#agent/store/contract.js';
import type { EventSink } from '#agent/store/events.js';

const KEY = 'sync.signed-time';

export interface SignedClockDeps {
  readonly state: StateStore;
  readonly clock: Clock;
  readonly events: EventSink;
}

/**
 * The time the device judges expiry by: the wall clock, but never before the freshest time that anybody trusted has
 * signed, which is kept across restarts. Tells the hub when the wall clock cannot be right.
 */
export class SignedClock {
  readonly #deps: SignedClockDeps;
  #freshest: EpochMillis | undefined;
  #justReceived: { readonly signed: EpochMillis; readonly at: number } | undefined;
  #trusted = true;

  private constructor(deps: SignedClockDeps, freshest: EpochMillis | undefined) {
    this.#deps = deps;
    this.#freshest = freshest;
  }

  static async open(deps: SignedClockDeps): Promise<SignedClock> {
    const stored = Number(await deps.state.get(KEY));
    return new SignedClock(deps, Number.isSafeInteger(stored) && stored > 0 ? stored : undefined);
  }

  /** Latest signed time seen, epoch milliseconds. */
  get freshest(): EpochMillis | undefined {
    return this.#freshest;
  }

  now(): TrustedTime {
    const { clock } = this.#deps;
    const received = this.#justReceived;
    // What was signed just now is by now as much later as the monotonic clock says.
    const justReceived = received === undefined ? undefined : received.signed + (clock.monotonic() - received.at);
    const time = trustedTime({ wall: clock.now(), freshestSigned: this.#freshest, justReceived });
    if (!time.trusted && this.#trusted) this.#deps.events.emit({ kind: 'clock.untrusted', detail: { reason: time.reason } });
    this.#trusted = time.trusted;
    return time;
  }

  /** Takes in the signed time of an accepted statement; `fresh` when the hub had just signed it. Resolves when it is kept. */
  async observe(signed: EpochMillis, fresh: boolean): Promise<void> {
    const { state, clock } = this.#deps;
    if (fresh) this.#justReceived = { signed, at: clock.monotonic() };
    if (signed <= (this.#freshest ?? 0)) return;
    this.#freshest = signed;
    await state.set(KEY, String(signed));
  }
}
