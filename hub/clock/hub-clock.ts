import type { Clock } from '#shared/kernel/clock.js';
import { type EpochMillis, hours, type Millis, minutes, seconds } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type ClockVerdict, judgeClock } from './decide/clock-verdict.js';

interface HubClockDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** It became suspect, or credible again; must not throw and must not wait for the network. */
  readonly onChange: (verdict: ClockVerdict, at: EpochMillis) => void;
}

/** What a device said of the time. */
interface DeviceClock {
  /** Its clock minus the hub's monotonic one: where it stands now follows, also after the hub's clock was set. */
  readonly base: Millis;
  readonly heardAt: Millis;
}

/** What is known of the hub's clock, for people. */
export interface ClockStatus {
  readonly verdict: ClockVerdict;
  readonly now: EpochMillis;
  readonly lastSigned: EpochMillis | undefined;
  /** Devices heard within the hour whose clocks can vouch. */
  readonly devices: number;
}

/** A device's word holds for this long; devices report every ten minutes. */
const DEVICE_WORD: Millis = hours(1);
/** How often it is looked whether devices speak against a clock that is credible. */
const LOOK: Millis = seconds(5);
/** A clock set by less than this was not set. */
const STEADY: Millis = minutes(5);

/**
 * Guards what the hub dates: while its clock is not credible nothing is signed and nothing is dropped for its age. INVARIANT: what is
 * expected of the clock moves on only while it is credible.
 */
export class HubClock {
  readonly #deps: HubClockDeps;
  readonly #devices = new Map<string, DeviceClock>();
  readonly #credible = new Set<() => void>();
  /** When the clock was last known to be right: what it said, and when that was. */
  #anchor: { readonly wall: EpochMillis; readonly at: Millis } | undefined;
  #lastSigned: EpochMillis | undefined;
  /** Clock minus monotonic one when an operator confirmed it. */
  #confirmedBase: Millis | undefined;
  #verdict: ClockVerdict = { state: 'credible' };
  #lookedAt: Millis = Number.NEGATIVE_INFINITY;

  constructor(deps: HubClockDeps) {
    this.#deps = deps;
  }

  /** Called when the clock became credible again: what waited for that can be done. */
  onCredible(listener: () => void): void {
    this.#credible.add(listener);
  }

  /** When the hub signed last, as stored; call once, before anything is signed. */
  begin(lastSigned: EpochMillis | undefined): void {
    this.#lastSigned = lastSigned;
    if (lastSigned !== undefined) this.#anchor = { wall: lastSigned, at: this.#deps.clock.monotonic() };
    this.look();
  }

  /** Something was signed now. */
  signed(at: EpochMillis): void {
    this.#lastSigned = at;
  }

  /** A device that can vouch (its clock agreed with a signature since it started) said what time it has. */
  heard(device: string, at: EpochMillis): void {
    const now = this.#deps.clock.monotonic();
    this.#devices.set(device, { base: at - now, heardAt: now });
    if (this.#verdict.state === 'suspect' || now - this.#lookedAt >= LOOK) this.look();
  }

  /** Looks at the clock now, and says so where the verdict changed. */
  look(): ClockVerdict {
    const { clock, logger, onChange } = this.#deps;
    const now = clock.now();
    const monotonic = clock.monotonic();
    this.#lookedAt = monotonic;
    const anchor = this.#anchor;
    const verdict = judgeClock({
      now,
      expected: anchor === undefined ? undefined : anchor.wall + (monotonic - anchor.at),
      differences: this.#differences(now, monotonic),
      confirmed: this.#confirmedBase !== undefined && Math.abs(now - monotonic - this.#confirmedBase) <= STEADY,
    });
    const before = this.#verdict;
    this.#verdict = verdict;
    if (verdict.state === 'credible') this.#anchor = { wall: now, at: monotonic };
    if (verdict.state === before.state) return verdict;
    if (verdict.state === 'suspect') logger.error({ reason: verdict.reason }, 'the clock of the hub is suspect; the hub signs nothing');
    else logger.info({}, 'the clock of the hub is credible again');
    onChange(verdict, now);
    if (verdict.state === 'credible') for (const listener of this.#credible) listener();
    return verdict;
  }

  get isCredible(): boolean {
    return this.look().state === 'credible';
  }

  /** Throws `HUB_CLOCK_SUSPECT` while nothing may be dated. */
  require(): void {
    const verdict = this.look();
    if (verdict.state === 'credible') return;
    throw new SkerryError(
      'HUB_CLOCK_SUSPECT',
      `nothing is signed: the hub has ${new Date(this.#deps.clock.now()).toISOString()}; ${verdict.reason}`,
    );
  }

  /** For lists that people look at: what is wrong, if anything is, and the command that leads out. */
  get notice(): string | undefined {
    const verdict = this.look();
    return verdict.state === 'credible'
      ? undefined
      : `the hub signs nothing, and no device can be told anything: ${verdict.reason}. See "skerry hub clock"`;
  }

  /** An operator says that the clock is right now. */
  confirm(): void {
    const { clock } = this.#deps;
    this.#confirmedBase = clock.now() - clock.monotonic();
    this.look();
  }

  get status(): ClockStatus {
    const { clock } = this.#deps;
    const verdict = this.look();
    const devices = this.#differences(clock.now(), clock.monotonic()).length;
    return { verdict, now: clock.now(), lastSigned: this.#lastSigned, devices };
  }

  #differences(now: EpochMillis, monotonic: Millis): readonly Millis[] {
    for (const [device, { heardAt }] of this.#devices) if (monotonic - heardAt > DEVICE_WORD) this.#devices.delete(device);
    return [...this.#devices.values()].map(({ base }) => base + monotonic - now);
  }
}
