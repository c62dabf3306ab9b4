import { randomUUID } from 'node:crypto';
import { DeviceInbox } from '#hub/broker/device-inbox.js';
import { BrokerLink } from '#hub/broker/link.js';
import { DevicePasswords } from '#hub/fleet/device-passwords.js';
import { FetchRights } from '#hub/fleet/fetch-rights.js';
import { Fleet } from '#hub/fleet/fleet.js';
import { HubPlaces } from '#hub/fleet/hub-place.js';
import type { RolloutClaims } from '#hub/fleet/rollout-claims.js';
import { admitStart } from '#hub/telemetry/seen.js';
import { Telemetry } from '#hub/telemetry/telemetry.js';
import { INGEST_DEFAULTS } from '#hub/telemetry/ingest.js';
import type { RollUpWidths } from '#hub/telemetry/roll-up.js';
import { days } from '#shared/kernel/time.js';
import { brokerEndpoints } from '../addresses.js';
import { type BrokerChoice, openBroker, type Tls } from '../broker-choice.js';
import type { HubConfig } from '../config.js';
import type { HubContext } from './context.js';
import type { Kept } from './kept.js';
import type { Alerts } from './people.js';
import type { Trust } from './versions.js';

/** The broker, inside or outside, and the hub as its client; nothing is connected yet. */
export interface Messaging {
  readonly broker: BrokerChoice;
  readonly link: BrokerLink;
  readonly inbox: DeviceInbox;
}

export async function openMessaging({ config, clock, logger }: HubContext, { db }: Kept, tls: Tls | undefined): Promise<Messaging> {
  const broker = await openBroker({ config, tls, passwords: new DevicePasswords(db, clock), fetchPolicy: new FetchRights(db), logger });
  const clientId = `skerry-hub-${randomUUID()}`;
  const link = new BrokerLink({ connection: broker.connection, clientId, clock, logger, random: Math.random });
  return { broker, link, inbox: new DeviceInbox(link, config.fleet, logger) };
}

/** Widths of the buckets that measurements are summed in. */
export function widthsOf(config: HubConfig): RollUpWidths {
  return { ...INGEST_DEFAULTS.widths, device: config.deviceStep };
}

interface TelemetryNeeds {
  readonly kept: Kept;
  readonly messaging: Messaging;
  readonly trust: Trust;
}

/** What devices report. */
export function openTelemetry({ config, bus, clock, logger }: HubContext, { kept, messaging, trust }: TelemetryNeeds): Telemetry {
  // Single devices make a row every few minutes each: kept for as long as devices are compared, no longer.
  const retention = { events: days(config.eventDays), models: days(config.metricDays), devices: days(Math.min(config.metricDays, 7)) };
  return new Telemetry({
    db: kept.db,
    link: messaging.link,
    inbox: messaging.inbox,
    fleet: config.fleet,
    clock,
    bus,
    logger,
    settings: { widths: widthsOf(config) },
    retention,
    mayDrop: () => trust.hubClock.isCredible,
  });
}

/** What devices need of phases that come later. */
export interface Later {
  readonly claims: RolloutClaims;
  /** Port of the API. */
  readonly httpPort: () => number;
}

interface DeviceNeeds extends TelemetryNeeds {
  readonly alerts: Alerts;
}

/** What devices are, should run and fetch. */
export interface Devices {
  readonly fleet: Fleet;
  readonly places: HubPlaces;
}

export function openDevices(
  { config, bus, clock, logger }: HubContext,
  { kept: { db, storage, keys }, messaging: { broker, link, inbox }, trust: { tuf, hubClock }, alerts }: DeviceNeeds,
  { claims, httpPort }: Later,
): Devices {
  const places = new HubPlaces(db, config);
  const fleet = new Fleet({
    db,
    clock,
    logger,
    bus,
    fleet: config.fleet,
    link,
    inbox,
    admitStart,
    artifacts: storage,
    directorKey: keys.director,
    hubClock,
    trust: {
      publication: () => tuf.publication(),
      root: () => tuf.root().bytes,
      learn: (files) => tuf.learn(files),
      timestamp: () => tuf.publication()?.versions.timestamp ?? 0,
    },
    onRecovered: (recovered) => alerts.hub.recovered(recovered),
    place: () => places.current(),
    endpoints: (host) => brokerEndpoints(config, { http: httpPort(), mqtt: broker.port() }, host),
    brokerForgets: broker.embedded !== undefined,
    disconnect: (device) => broker.embedded?.disconnect(device),
    onCredentials: broker.onCredentials,
    alert: (alert) => alerts.send({ type: `device.${alert.mark}`, at: alert.at, data: alert }),
    claims,
  });
  tuf.onPublished((publication) => {
    bus.publish({ kind: 'trust.changed', at: new Date(clock.now()).toISOString(), files: [...publication.files.keys()] });
    void fleet.trust.publish();
  });
  return { fleet, places };
}
