import { trustedProxies } from '#hub/api/client-address.js';
import { HttpMetrics } from '#hub/api/http-metrics.js';
import { LiveFeed } from '#hub/api/live-feed.js';
import { LIVE_PATH } from '#hub/api/live-path.js';
import type { Route } from '#hub/api/route.js';
import { accessRoutes } from '#hub/api/routes/access.js';
import { deploymentRoutes } from '#hub/api/routes/deployments.js';
import { deviceIdentityRoutes } from '#hub/api/routes/device-identity.js';
import { deviceRoutes } from '#hub/api/routes/devices.js';
import { enrollRoutes } from '#hub/api/routes/enroll.js';
import { hubClockRoutes } from '#hub/api/routes/hub-clock.js';
import { hubRoutes } from '#hub/api/routes/hub.js';
import { registryRoutes } from '#hub/api/routes/registry.js';
import { rolloutRoutes } from '#hub/api/routes/rollouts.js';
import { type ReadyCheck, systemRoutes } from '#hub/api/routes/system.js';
import { telemetryRoutes } from '#hub/api/routes/telemetry.js';
import { trustRoutes } from '#hub/api/routes/trust.js';
import { ApiServer } from '#hub/api/server.js';
import { Moves } from '#hub/fleet/move.js';
import { FailureLimiter } from '#hub/kernel/failure-limiter.js';
import { hubPublicKeys } from '#hub/registry/tuf/hub-keys.js';
import { fleetMetrics } from '#hub/telemetry/fleet-metrics.js';
import type { Telemetry } from '#hub/telemetry/telemetry.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { MQTT_PATH } from '#shared/protocol/mqtt-path.js';
import type { Tls } from '../broker-choice.js';
import { hubMetrics } from '../hub-metrics.js';
import type { HubContext } from './context.js';
import type { Devices, Messaging } from './devices.js';
import type { Kept } from './kept.js';
import type { Access, Alerts } from './people.js';
import type { Rollouts } from './rollouts.js';
import type { Trust, Versions } from './versions.js';

/** All that the API speaks for. */
export interface ApiNeeds {
  readonly kept: Kept;
  readonly access: Access;
  readonly alerts: Alerts;
  readonly trust: Trust;
  readonly versions: Versions;
  readonly messaging: Messaging;
  readonly telemetry: Telemetry;
  readonly devices: Devices;
  readonly rollouts: Rollouts;
}

export interface Api {
  readonly feed: LiveFeed;
  readonly server: ApiServer;
}

export function openApi(context: HubContext, needs: ApiNeeds, tls: Tls | undefined): Api {
  const { config, bus, clock, logger } = context;
  const { tokens, audit, authenticator } = needs.access;
  const proxies = trustedProxies(config.trustedProxy);
  const feed = new LiveFeed({ bus, authenticator, tokens, trustedProxies: proxies, clock, logger });
  const metrics = new HttpMetrics();
  const server: ApiServer = new ApiServer({
    host: config.httpHost,
    port: config.httpPort,
    tls,
    version: SKERRY_VERSION,
    authenticator,
    audit,
    trustedProxies: proxies,
    metrics,
    logger,
    routes: [...aboutTheHub(context, needs, { feed, metrics, openApi: () => server.openApi() }), ...aboutTheFleet(context, needs)],
  });
  server.addUpgrade(LIVE_PATH, (http) => feed.attachTo(http));
  const { embedded } = needs.messaging.broker;
  if (embedded !== undefined) server.addUpgrade(MQTT_PATH, (http) => embedded.attachTo(http));
  return { feed, server };
}

interface ApiSelf {
  readonly feed: LiveFeed;
  readonly metrics: HttpMetrics;
  readonly openApi: () => unknown;
}

function aboutTheHub({ config, clock }: HubContext, needs: ApiNeeds, { feed, metrics, openApi: document }: ApiSelf): Route[] {
  const { kept, access, alerts, trust, telemetry, devices } = needs;
  const { db, storage, keys } = kept;
  const { tuf, hubClock } = trust;
  const query = telemetry.metrics;
  return [
    ...systemRoutes({
      version: SKERRY_VERSION,
      checks: readyChecks(needs),
      metrics: [
        () => hubMetrics({ db, storage, tuf, hubClock, feed, clock, version: SKERRY_VERSION }),
        () => alerts.disk.metrics(),
        () => metrics.families(),
        () => fleetMetrics({ db, clock, ingest: telemetry.ingest, query }),
      ],
      openApi: document,
    }),
    ...accessRoutes(access.tokens, access.audit, () => clock.now()),
    ...hubClockRoutes(hubClock, trust.resign),
    ...trustRoutes(tuf, hubPublicKeys(config.fleet, keys)),
    ...hubRoutes(new Moves(db, devices.places, devices.fleet.issuer)),
  ];
}

function readyChecks({ kept: { db }, alerts, messaging: { link } }: ApiNeeds): ReadyCheck[] {
  return [
    { name: 'database', check: async () => void (await db.selectFrom('models').select('name').limit(1).execute()) },
    { name: 'disk', check: () => alerts.disk.whyNotWritable() },
    {
      name: 'broker',
      check: () => Promise.resolve(link.status.kind === 'online' ? undefined : `the connection is ${link.status.kind}`),
    },
  ];
}

function aboutTheFleet({ clock }: HubContext, { kept, trust, versions, telemetry, devices: { fleet }, rollouts }: ApiNeeds): Route[] {
  const now = (): number => clock.now();
  return [
    ...registryRoutes(versions.registry, versions.uploads),
    ...enrollRoutes(fleet.enrolment, fleet.tokens, new FailureLimiter(clock), now),
    ...deviceRoutes(fleet.devices, fleet.starts, () => trust.hubClock.notice),
    ...deviceIdentityRoutes(fleet.devices, fleet.tokens, now),
    ...deploymentRoutes(fleet.deployments),
    ...rolloutRoutes(rollouts.controller, rollouts.store, rollouts.cohorts),
    ...telemetryRoutes(kept.db, telemetry.metrics, now),
  ];
}
