import os from 'node:os';
import type { Clock } from '#shared/kernel/clock.js';
import { seconds } from '#shared/kernel/time.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type AgentConfig, readAuthorities } from './config.js';
import type { Boot } from './store/contract.js';
import type { AgentStore } from './store/open.js';
import { MqttBlobFetcher } from './sync/blob-fetcher.js';
import { CurrentIdentity } from './sync/current-identity.js';
import { DesiredSubscription } from './sync/desired-source.js';
import type { EventLog } from './sync/event-log.js';
import { HeldSender } from './sync/held-sender.js';
import type { Identity } from './sync/identity.js';
import { MqttLink } from './sync/link.js';
import { OutboxPump } from './sync/outbox-pump.js';
import { SignedClock } from './sync/signed-clock.js';
import type { TufTrustClient } from './sync/trust-client.js';
import { TrustFeed } from './sync/trust-feed.js';
import type { TrustMirror } from './sync/trust-mirror.js';

export interface HubSideDeps {
  readonly config: AgentConfig;
  readonly identity: Identity;
  readonly store: AgentStore;
  readonly events: EventLog;
  readonly mirror: TrustMirror;
  readonly tuf: TufTrustClient;
  readonly clock: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

/** What talks to the hub, unstarted. */
export interface HubSide {
  readonly time: SignedClock;
  readonly link: MqttLink;
  readonly trust: TrustFeed;
  readonly desired: DesiredSubscription;
  readonly fetcher: MqttBlobFetcher;
  readonly pump: OutboxPump;
  /** Who this device is, as the identity file says now. */
  readonly who: CurrentIdentity;
}

/** Rejects with `STORE_...` codes, and with `CONFIG_INVALID` when the certificates of `--ca-file` cannot be read. */
export async function openHubSide(deps: HubSideDeps): Promise<HubSide> {
  const { config, identity, store, events, mirror, tuf, clock, random, logger } = deps;
  const { fleet, device } = identity;
  const time = await SignedClock.open({ state: store.state, clock, events, uptime: () => os.uptime() * 1_000 });
  const who = await CurrentIdentity.open({
    data: config.data,
    identity,
    hub: config.hub,
    ca: config.caFile === undefined ? undefined : await readAuthorities(config.caFile),
    state: store.state,
    desired: () => desired.current(),
    logger,
  });
  const link = new MqttLink({
    fleet,
    device,
    boot: bootOf(store),
    host: os.hostname().slice(0, 255),
    broker: () => who.broker(),
    onLetIn: (url) => void who.letIn(url),
    keepalive: config.keepalive,
    clock,
    logger,
    random,
    backoff: { base: Math.min(seconds(1), config.reconnectMax), max: config.reconnectMax },
  });
  const held = new HeldSender({ fleet, device, link, clock, logger, desired: () => desired.signed(), trust: () => tuf.files() });
  const onBehind = (): void => held.hubIsBehind();
  const trust = new TrustFeed({ fleet, link, mirror, client: tuf, time, events, clock, logger, random, onBehind });
  const desired: DesiredSubscription = await DesiredSubscription.open({
    fleet,
    device,
    link,
    state: store.state,
    director: trust,
    time,
    events,
    clock,
    logger,
    onBehind,
  });
  const fetcher = new MqttBlobFetcher({ fleet, device, link, clock, logger, random });
  const pump = new OutboxPump({ fleet, device, link, outbox: store.outbox, clock, logger });
  return { time, link, trust, desired, fetcher, pump, who };
}

function bootOf({ boot, bootId, afterBootId }: Boot): Boot {
  return { boot, bootId, ...(afterBootId === undefined ? {} : { afterBootId }) };
}
