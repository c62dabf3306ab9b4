import type { AuditLog } from './api/audit.js';
import type { LiveBus } from './kernel/live-bus.js';
import type { ClockVerdict } from './clock/decide/clock-verdict.js';
import type { Recovered } from './fleet/held.js';
import type { WebhookMessage } from './rollouts/adapters/alert-sinks.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';

interface HubAlertsDeps {
  readonly clock: Clock;
  readonly bus: LiveBus;
  readonly audit: Pick<AuditLog, 'add'>;
  readonly logger: Logger;
  readonly send: (message: WebhookMessage) => void;
}

/** Tells people what happens to the hub itself: live feed, webhook, audit log. */
export class HubAlerts {
  readonly #deps: HubAlertsDeps;
  #restoredTold = false;

  constructor(deps: HubAlertsDeps) {
    this.#deps = deps;
  }

  /** The hub stops signing because of its clock, or goes on (webhook `hub.clock`). */
  clock(verdict: ClockVerdict, at: EpochMillis): void {
    const { bus, send } = this.#deps;
    const { state } = verdict;
    const reason = state === 'suspect' ? verdict.reason : 'the clock of the hub is credible again';
    bus.publish({ kind: 'hub.clock', at: new Date(at).toISOString(), state, reason });
    send({ type: 'hub.clock', at, data: { state, reason, at } });
    this.#audit('hub:clock', 'hub/clock', { state, reason });
  }

  /** The hub had lost something, and a device showed it: all of it is in the audit log, people are alerted once (webhook `hub.restored`). */
  recovered({ device, what }: Recovered): void {
    const { clock, send } = this.#deps;
    this.#audit('hub:recover', `devices/${device}`, { what });
    if (this.#restoredTold) return;
    this.#restoredTold = true;
    const reason = `the data of the hub is older than what its devices hold: it was put back to a backup. It takes over what they can prove, first of ${device}: ${what}`;
    send({ type: 'hub.restored', at: clock.now(), data: { reason, device, what } });
  }

  #audit(action: string, target: string, detail: Readonly<Record<string, unknown>>): void {
    const { audit, logger } = this.#deps;
    audit.add({ actor: 'hub', action, target, source: 'hub', outcome: 'ok', requestId: '', detail }).catch((cause: unknown) => {
      logger.error({ cause: asSkerryError(cause).message }, 'the audit log could not be written');
    });
  }
}
