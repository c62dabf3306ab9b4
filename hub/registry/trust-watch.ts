import type { Clock } from '#shared/kernel/clock.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { Logger } from '#shared/kernel/logger.js';
import { formatDuration } from '#shared/terminal/format.js';
import { type RoleExpiry, warningsDue } from './tuf/decide/expiry.js';
import type { TufRepository } from './tuf/repository.js';

/** A role whose signatures end soon, or ended. */
export interface TrustAlert {
  readonly role: string;
  readonly version: number;
  readonly expires: EpochMillis;
  readonly at: EpochMillis;
  readonly reason: string;
}

interface TrustWatchDeps {
  readonly tuf: Pick<TufRepository, 'expiries'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Must not throw and must not wait for the network. */
  readonly notify: (alert: TrustAlert) => void;
}

/**
 * Warns before signatures that people make expire: without root or targets no device takes up anything new, without a
 * publisher's file nothing new of that publisher (TUF 5.3.10, 5.6.5). Once for each warning and file; a hub that starts again says the last one once more.
 */
export class TrustWatch {
  readonly #deps: TrustWatchDeps;
  /** Warnings told of the files there are now. */
  #told = new Map<string, number>();

  constructor(deps: TrustWatchDeps) {
    this.#deps = deps;
  }

  /** Looks at what is published now. */
  look(): void {
    const { tuf, clock, logger, notify } = this.#deps;
    const now = clock.now();
    const before = this.#told;
    this.#told = new Map();
    for (const expiry of tuf.expiries()) {
      if (expiry.signedBy === 'hub') continue;
      const key = `${expiry.role} ${expiry.expires}`;
      const due = warningsDue(expiry.expires, now);
      this.#told.set(key, due);
      if (due <= (before.get(key) ?? 0)) continue;
      const alert = alertOf(expiry, now);
      logger.warn({ ...alert }, alert.reason);
      notify(alert);
    }
  }
}

function alertOf({ role, version, expires }: RoleExpiry, at: EpochMillis): TrustAlert {
  const when = expires > at ? `expire in ${formatDuration(expires - at)}` : `expired ${formatDuration(at - expires)} ago`;
  const until = expires > at ? 'from then on' : 'until it is signed again';
  const effect = role === 'root' || role === 'targets' ? 'anything new' : `new versions of publisher ${role}`;
  const reason = `the signatures of role ${role} ${when}: ${until} no device takes up ${effect}; its owner runs "skerry trust resign"`;
  return { role, version, expires, at, reason };
}
