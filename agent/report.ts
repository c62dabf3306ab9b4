import type { Clock } from '#shared/kernel/clock.js';
import type { SkerryError } from '#shared/kernel/errors.js';
import type { Capabilities } from '#shared/protocol/device.js';
import type { Reported } from '#shared/protocol/messages.js';
import type { BlobStore, Outbox } from './store/contract.js';
import type { DesiredSubscription } from './sync/desired-source.js';
import type { Identity } from './sync/identity.js';
import type { SignedClock } from './sync/signed-clock.js';
import type { TrustFeed } from './sync/trust-feed.js';

export interface ReportParts {
  readonly identity: Identity;
  readonly boot: number;
  readonly agentVersion: string;
  readonly capabilities: Capabilities;
  readonly models: () => Reported['models'];
  readonly desired: DesiredSubscription;
  readonly trust: TrustFeed;
  readonly time: SignedClock;
  readonly outbox: Outbox;
  readonly blobs: BlobStore;
  readonly clock: Clock;
}

/** The reported state of this device now. */
export async function takeReport(parts: ReportParts): Promise<Reported> {
  const { identity, boot, agentVersion, capabilities, models, desired, trust, time, outbox, blobs, clock } = parts;
  const [stats, disk] = await Promise.all([outbox.stats(), blobs.usage()]);
  const { root, timestamp, snapshot, error } = trust.status;
  const { refused } = desired;
  const judged = time.now();
  return {
    device: identity.device,
    at: new Date(clock.now()).toISOString(),
    boot,
    agentVersion,
    labels: identity.labels,
    capabilities,
    desired: { counter: desired.current()?.counter ?? 0, ...(refused === undefined ? {} : { refused: briefly(refused) }) },
    trust: { root, timestamp, snapshot, ...(error === undefined ? {} : { error: briefly(error) }) },
    clock: judged.trusted ? { trusted: true } : { trusted: false, reason: judged.reason },
    models: models(),
    outbox: { records: stats.records, bytes: stats.bytes, dropped: stats.dropped, coarsened: stats.coarsened },
    disk: { usedBytes: disk.usedBytes, budgetBytes: disk.budgetBytes },
  };
}

function briefly(error: SkerryError): { readonly code: string; readonly message: string } {
  return { code: error.code, message: error.message.slice(0, 2048) };
}
