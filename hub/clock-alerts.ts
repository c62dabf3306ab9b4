import type { AuditLog } from './api/audit.js';
import type { LiveBus } from './api/live.js';
import type { ClockVerdict } from './clock/clock-verdict.js';
import type { WebhookMessage } from './rollouts/hub/alert-sinks.js';
import type { EpochMillis } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';

export interface ClockAlertsDeps {
  readonly bus: LiveBus;
  readonly audit: Pick<AuditLog, 'add'>;
  readonly logger: Logger;
  readonly send: (message: WebhookMessage) => void;
}

/** Tells people when the hub stops signing because of its clock, and when it goes on: live feed, webhook `hub.clock`, audit log. */
export class ClockAlerts {
  readonly #deps: ClockAlertsDeps;

  constructor(deps: ClockAlertsDeps) {
    this.#deps = deps;
  }

  told(verdict: ClockVerdict, at: EpochMillis): void {
    const { bus, audit, logger, send } = this.#deps;
    const { state } = verdict;
    const reason = state === 'suspect' ? verdict.reason : 'the clock of the hub is credible again';
    bus.publish({ kind: 'hub.clock', at: new Date(at).toISOString(), state, reason });
    send({ type: 'hub.clock', at, data: { state, reason, at } });
    audit
      .add({
        actor: 'hub',
        action: 'hub:clock',
        target: 'hub/clock',
        source: 'hub',
        outcome: 'ok',
        requestId: '',
        detail: { state, reason },
      })
      .catch((cause: unknown) => logger.error({ cause: asSkerryError(cause).message }, 'the audit log could not be written'));
  }
}
