import type { Clock } from '#shared/kernel/clock.js';
import type { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Capabilities } from '#shared/protocol/device.js';
import type { Reported } from '#shared/protocol/messages.js';
import type { HubSide } from './hub-side.js';
import type { AgentStore } from '../store/open.js';
import type { Identity } from '../sync/identity.js';
import type { TrustStatus } from '../sync/trust-feed.js';

interface ReportParts {
  readonly identity: Identity;
  readonly store: Pick<AgentStore, 'boot' | 'bootId' | 'outbox' | 'blobs' | 'recovery'>;
  readonly hub: Pick<HubSide, 'desired' | 'trust' | 'time'>;
  readonly agentVersion: string;
  readonly capabilities: Capabilities;
  readonly models: () => Reported['models'];
  readonly clock: Clock;
}

/** The reported state of this device now. */
export async function takeReport({ identity, store, hub, agentVersion, capabilities, models, clock }: ReportParts): Promise<Reported> {
  const { desired, trust, time } = hub;
  const [stats, disk] = await Promise.all([store.outbox.stats(), store.blobs.usage()]);
  const { refused } = desired;
  const readOnly = store.recovery?.error.code === 'STORE_READ_ONLY' ? store.recovery.error : undefined;
  const judged = time.now();
  return {
    device: identity.device,
    at: new Date(clock.now()).toISOString(),
    boot: store.boot,
    bootId: store.bootId,
    agentVersion,
    labels: identity.labels,
    capabilities,
    desired: { counter: desired.current()?.counter ?? 0, ...(refused === undefined ? {} : { refused: briefly(refused) }) },
    trust: reportedTrust(trust.status),
    clock: { trusted: judged.trusted, confirmed: time.confirmed, ...(judged.trusted ? {} : { reason: judged.reason }) },
    models: models(),
    outbox: { records: stats.records, bytes: stats.bytes, dropped: stats.dropped, coarsened: stats.coarsened },
    disk: { usedBytes: disk.usedBytes, budgetBytes: disk.budgetBytes, ...(readOnly === undefined ? {} : { error: briefly(readOnly) }) },
  };
}

/** How the trust metadata of a device is, as it reports it. */
export function reportedTrust({ root, timestamp, snapshot, error, unavailable }: TrustStatus): Reported['trust'] {
  const roles = unavailable?.slice(0, LIMITS.reportedPublishers).map((entry) => ({ role: entry.role, error: briefly(entry.error) }));
  return {
    root,
    timestamp,
    snapshot,
    ...(error === undefined ? {} : { error: briefly(error) }),
    ...(roles === undefined ? {} : { unavailable: roles }),
  };
}

function briefly(error: SkerryError): { readonly code: string; readonly message: string } {
  return { code: error.code, message: error.message.slice(0, 2048) };
}
