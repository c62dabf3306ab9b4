import os from 'node:os';
import { join } from 'node:path';
import { seconds } from '#shared/kernel/time.js';
import type { Parts } from '#shared/kernel/lifecycle.js';
import { readAuthorities } from '../config.js';
import type { DesiredState } from '#shared/trust/desired.js';
import type { AgentContext } from './context.js';
import type { Stored } from './stored.js';
import type { Boot } from '../store/contract.js';
import { MqttBlobFetcher } from '../sync/blob-fetcher.js';
import { CurrentIdentity } from '../sync/current-identity.js';
import { DesiredSubscription } from '../sync/desired-source.js';
import { HeldSender } from '../sync/held-sender.js';
import { MqttLink } from '../sync/link.js';
import { OutboxPump } from '../sync/outbox-pump.js';
import { SignedClock } from '../sync/signed-clock.js';
import { TufTrustClient } from '../sync/trust-client.js';
import { TrustFeed } from '../sync/trust-feed.js';
import { TrustMirror } from '../sync/trust-mirror.js';

/** What this device trusts; it reads its files while the threads come up. */
interface TrustSide {
  readonly mirror: TrustMirror;
  readonly client: TufTrustClient;
}

export function openTrustSide({ config, identity, clock }: AgentContext, time: () => SignedClock): TrustSide {
  const mirror = new TrustMirror(clock);
  const client = new TufTrustClient({
    folder: join(config.data, 'trust'),
    fleet: identity.fleet,
    clock,
    mirror,
    signedTime: () => time().freshest,
    latest: () => time().latestMetadata,
  });
  // Whoever asks for the versions hears of what is wrong with them.
  client.versions().catch(() => undefined);
  return { mirror, client };
}

interface HubSideNeeds {
  readonly stored: Stored;
  readonly trustSide: TrustSide;
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
export async function openHubSide(parts: Parts, context: AgentContext, { stored, trustSide }: HubSideNeeds): Promise<HubSide> {
  const { identity, clock, random } = context;
  const { store, events } = stored;
  const { mirror, client } = trustSide;
  const { fleet, device } = identity;
  const logger = context.logger.child({ room: 'sync' });
  const time = await SignedClock.open({ state: store.state, clock, events, uptime: () => os.uptime() * 1_000 });
  const who = await openIdentity(context, stored, () => desired.current());
  const link = parts.holds(openLink({ ...context, logger }, stored, who));
  const pump = parts.holds(new OutboxPump({ fleet, device, link, outbox: store.outbox, clock, logger }));
  // What the parts above it say while they close is sent.
  parts.onClose(() => events.settled());
  const held = new HeldSender({ fleet, device, link, clock, logger, desired: () => desired.signed(), trust: () => client.files() });
  const onBehind = (): void => held.hubIsBehind();
  const trust = new TrustFeed({ fleet, link, mirror, client, time, events, clock, logger, random, onBehind });
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
  parts.holds(desired);
  parts.holds(trust);
  const fetcher = new MqttBlobFetcher({ fleet, device, link, clock, logger, random });
  return { time, link, trust, desired, fetcher, pump, who };
}

async function openIdentity(
  { config, identity, logger }: AgentContext,
  { store }: Stored,
  desired: () => DesiredState | undefined,
): Promise<CurrentIdentity> {
  const ca = config.caFile === undefined ? undefined : await readAuthorities(config.caFile);
  return CurrentIdentity.open({
    data: config.data,
    identity,
    hub: config.hub,
    ca,
    state: store.state,
    desired,
    logger: logger.child({ room: 'sync' }),
  });
}

function openLink({ config, identity, clock, logger, random }: AgentContext, { store }: Stored, who: CurrentIdentity): MqttLink {
  return new MqttLink({
    fleet: identity.fleet,
    device: identity.device,
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
}

function bootOf({ boot, bootId, afterBootId }: Boot): Boot {
  return { boot, bootId, ...(afterBootId === undefined ? {} : { afterBootId }) };
}
