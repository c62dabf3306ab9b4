import { AuditLog } from '#hub/api/audit.js';
import { Authenticator } from '#hub/api/authenticator.js';
import { ApiTokens } from '#hub/api/tokens.js';
import { FailureLimiter } from '#hub/kernel/failure-limiter.js';
import { WebhookAlerts, type WebhookMessage } from '#hub/rollouts/adapters/alert-sinks.js';
import { webhookKey } from '#hub/rollouts/adapters/webhook-secret.js';
import type { Parts } from '#shared/kernel/lifecycle.js';
import { readSetting } from '../data-folder.js';
import { DiskWatch } from '../disk-watch.js';
import { HubAlerts } from '../hub-alerts.js';
import type { HubContext } from './context.js';
import type { Kept } from './kept.js';

/** Who may do what, and who did. */
export interface Access {
  readonly tokens: ApiTokens;
  readonly audit: AuditLog;
  readonly authenticator: Authenticator;
}

export function openAccess(parts: Parts, { clock }: HubContext, { db }: Kept): Access {
  const tokens = new ApiTokens(db, clock);
  const audit = new AuditLog(db, clock);
  parts.onClose(() => audit.sumUp(true));
  return { tokens, audit, authenticator: new Authenticator(tokens, new FailureLimiter(clock)) };
}

/** Who is told when people should look. */
export interface Alerts {
  readonly webhook: WebhookAlerts | undefined;
  readonly hub: HubAlerts;
  readonly disk: DiskWatch;
  /** Sends to the webhook, where there is one. */
  readonly send: (message: WebhookMessage) => void;
}

export async function openAlerts(context: HubContext, { paths, db }: Kept, { audit }: Access): Promise<Alerts> {
  const { bus, clock, logger } = context;
  const webhook = await openWebhook(context);
  const send = (message: WebhookMessage): void => webhook?.send(message);
  const hub = new HubAlerts({ clock, bus, audit, logger, send });
  const notify: ConstructorParameters<typeof DiskWatch>[0]['notify'] = (alert) => send({ type: 'hub.disk', at: alert.at, data: alert });
  const disk = new DiskWatch({ folder: paths.root, db, clock, logger, notify });
  return { webhook, hub, disk, send };
}

async function openWebhook({ config, clock, logger }: HubContext): Promise<WebhookAlerts | undefined> {
  if (config.alertUrl === undefined || config.alertSecretFile === undefined) return undefined;
  const secret = webhookKey(await readSetting(config.alertSecretFile, 'webhook secret'));
  return new WebhookAlerts({ url: config.alertUrl, secret, clock, logger, random: Math.random });
}
