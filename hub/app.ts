import { type Clock, systemClock } from '#shared/kernel/clock.js';
import { Parts, type Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { brokerEndpoints, localHttpUrl } from './addresses.js';
import { type Api, type ApiNeeds, openApi } from './assembly/api.js';
import type { HubContext } from './assembly/context.js';
import { openDevices, openMessaging, openTelemetry } from './assembly/devices.js';
import { openKept } from './assembly/kept.js';
import { openAccess, openAlerts } from './assembly/people.js';
import { claimsOf, openRollouts, type Rollouts } from './assembly/rollouts.js';
import { openUpkeep, type Upkeep } from './assembly/upkeep.js';
import { openTrust, openVersions } from './assembly/versions.js';
import { readTls } from './broker-choice.js';
import type { HubConfig } from './config.js';
import { ensureAdminToken, removeState, writeState } from './data-folder.js';
import type { HubState } from './hub-state.js';
import { LiveBus } from './kernel/live-bus.js';
import type { ObserveWritten } from './rollouts/adapters/observed-store.js';

interface HubOptions {
  readonly config: HubConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly observe?: ObserveWritten;
}

/** A hub that runs. */
export interface Hub extends Pick<Service, 'close'> {
  readonly state: HubState;
  /** File with the admin token that this start made; undefined when there was one already. */
  readonly newAdminToken: string | undefined;
}

/**
 * The composition root: what a hub is made of, from what, started in which order. Resolves when everything runs; a start
 * that fails leaves nothing open.
 */
export function startHub(options: HubOptions): Promise<Hub> {
  return Parts.open(async (parts) => {
    const context = contextOf(options);
    const house = await assemble(parts, context, options.observe ?? (() => undefined));
    if (house.trust.hubClock.isCredible) await house.trust.tuf.resign();
    startInOrder(parts, house);
    await parts.start();
    const newAdminToken = (await ensureAdminToken(house.kept.paths, house.access.tokens)) ? house.kept.paths.adminToken : undefined;
    const state = await announce(parts, context, house);
    house.upkeep.trustWatch.look();
    context.logger.info({ httpUrl: state.httpUrl, mqttUrl: state.mqttUrl, fleet: context.config.fleet }, 'hub ready');
    return { state, newAdminToken, close: () => parts.close() };
  });
}

function contextOf({ config, env, logger, clock = systemClock }: HubOptions): HubContext {
  return { config, env, clock, logger, bus: new LiveBus(logger) };
}

interface House extends ApiNeeds {
  readonly api: Api;
  readonly upkeep: Upkeep;
}

/** Reads in the direction of the rooms (docs/ARCHITECTURE.md): each phase gets what stands before it. */
async function assemble(parts: Parts, context: HubContext, observe: ObserveWritten): Promise<House> {
  const kept = await openKept(parts, context);
  const access = openAccess(parts, context, kept);
  const alerts = await openAlerts(context, kept, access);
  const trust = await openTrust(context, kept, alerts);
  const versions = await openVersions(context, kept, trust);
  const tls = await readTls(context.config);
  const messaging = await openMessaging(context, kept, tls);
  const telemetry = openTelemetry(context, { kept, messaging, trust });
  const devices = openDevices(
    context,
    { kept, messaging, trust, alerts },
    { claims: claimsOf(versions, () => rollouts.controller), httpPort: () => api.server.port },
  );
  const rollouts: Rollouts = openRollouts(context, { kept, trust, versions, alerts, issuer: devices.fleet.issuer, observe });
  const needs = { kept, access, alerts, trust, versions, messaging, telemetry, devices, rollouts };
  const api: Api = openApi(context, needs, tls);
  return { ...needs, api, upkeep: openUpkeep(context, needs) };
}

/** Closed in the reverse order. Fleet and telemetry subscribe before the link connects, and close after it. */
function startInOrder(parts: Parts, { devices, telemetry, messaging, alerts, rollouts, api, upkeep }: House): void {
  const { broker, link } = messaging;
  parts.starts(devices.fleet, telemetry);
  if (broker.embedded !== undefined) parts.starts(broker.embedded);
  parts.starts(link);
  if (alerts.webhook !== undefined) parts.starts(alerts.webhook);
  parts.starts(rollouts.controller, api.feed, api.server, upkeep.housekeeping);
}

/** Last, so that whoever finds the state file finds a hub that answers. */
async function announce(parts: Parts, { config, clock }: HubContext, { kept, messaging, api }: House): Promise<HubState> {
  const { broker } = messaging;
  const ports = { http: api.server.port, mqtt: broker.port() };
  const state: HubState = {
    pid: process.pid,
    version: SKERRY_VERSION,
    fleet: config.fleet,
    startedAt: new Date(clock.now()).toISOString(),
    httpUrl: localHttpUrl(config, ports),
    ...(config.publicUrl === undefined ? {} : { publicUrl: config.publicUrl }),
    mqttUrl: brokerEndpoints(config, ports, '').url,
    broker: broker.embedded === undefined ? 'external' : 'embedded',
  };
  await writeState(kept.paths, state);
  parts.onClose(() => removeState(kept.paths));
  return state;
}
