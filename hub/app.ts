import { randomUUID } from 'node:crypto';
import { type Clock, systemClock } from '#shared/kernel/clock.js';
import { days } from '#shared/kernel/time.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import { type Service, ServiceGroup } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { MQTT_PATH } from '#shared/protocol/mqtt-path.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { brokerEndpoints, localHttpUrl } from './addresses.js';
import { AuditLog } from './api/audit.js';
import { Authenticator } from './api/authenticator.js';
import { trustedProxies } from './api/client-address.js';
import { FailureLimiter } from './kernel/failure-limiter.js';
import { HttpMetrics } from './api/http-metrics.js';
import { LiveBus } from './kernel/live-bus.js';
import { LiveFeed } from './api/live-feed.js';
import { LIVE_PATH } from './api/live-path.js';
import { accessRoutes } from './api/routes/access.js';
import { deploymentRoutes } from './api/routes/deployments.js';
import { deviceIdentityRoutes } from './api/routes/device-identity.js';
import { deviceRoutes } from './api/routes/devices.js';
import { enrollRoutes } from './api/routes/enroll.js';
import { hubRoutes } from './api/routes/hub.js';
import { registryRoutes } from './api/routes/registry.js';
import { hubClockRoutes } from './api/routes/hub-clock.js';
import { rolloutRoutes } from './api/routes/rollouts.js';
import { systemRoutes } from './api/routes/system.js';
import { telemetryRoutes } from './api/routes/telemetry.js';
import { trustRoutes } from './api/routes/trust.js';
import { ApiServer } from './api/server.js';
import { ApiTokens } from './api/tokens.js';
import { openBroker } from './broker-choice.js';
import { BrokerLink } from './broker/link.js';
import { HubClock } from './clock/hub-clock.js';
import type { HubConfig } from './config.js';
import { dataPaths, ensureAdminToken, makeDataFolder, openKeys, readSetting, removeState, writeState } from './data-folder.js';
import { DevicePasswords } from './fleet/device-passwords.js';
import { FetchRights } from './fleet/fetch-rights.js';
import { Fleet } from './fleet/fleet.js';
import { HubPlaces } from './fleet/hub-place.js';
import { Moves } from './fleet/move.js';
import { DiskWatch } from './disk-watch.js';
import { Housekeeping } from './housekeeping.js';
import { HubAlerts } from './hub-alerts.js';
import { historyChores } from './history-chores.js';
import { hubMetrics } from './hub-metrics.js';
import type { HubState } from './hub-state.js';
import { ArtifactUploads } from './registry/artifact-uploads.js';
import { Registry } from './registry/registry.js';
import { SqlTufStorage } from './registry/sql-tuf-storage.js';
import { hubPublicKeys } from './registry/tuf/hub-keys.js';
import { TrustWatch } from './registry/trust-watch.js';
import { TufRepository } from './registry/tuf/repository.js';
import { VersionStore } from './registry/version-store.js';
import { whyIncapable } from './rollouts/decide/capability.js';
import { fleetUsers } from './fleet/version-users.js';
import { rolloutsUnderWay } from './rollouts/claims.js';
import { rolloutUsers } from './rollouts/version-users.js';
import { Cohorts } from './rollouts/cohorts.js';
import { RolloutController } from './rollouts/controller.js';
import { AllAlerts, LogAlerts, WebhookAlerts } from './rollouts/adapters/alert-sinks.js';
import { TelemetryEvidence } from './rollouts/adapters/telemetry-evidence.js';
import { FleetAdapter } from './rollouts/adapters/fleet-adapter.js';
import { TelemetryTrialOutcome } from './rollouts/adapters/telemetry-trial-outcome.js';
import { RegistryAdapter } from './rollouts/adapters/registry-adapter.js';
import { webhookKey } from './rollouts/adapters/webhook-secret.js';
import { ObservedStore, type ObserveWritten } from './rollouts/adapters/observed-store.js';
import { ArtifactFolder } from './store/artifact-folder.js';
import { openDatabase } from './store/open.js';
import { lockDataFolder } from './store/sqlite.js';
import { fleetMetrics } from './telemetry/fleet-metrics.js';
import { INGEST_DEFAULTS } from './telemetry/ingest.js';

export interface HubOptions {
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
export async function startHub({ config, env, logger, clock = systemClock, observe = () => undefined }: HubOptions): Promise<Hub> {
  const paths = dataPaths(config.dataDir);
  const { fleet: fleetId } = config;

  // The data folder, which is this process's alone.
  await makeDataFolder(paths);
  const opened: (() => Promise<void> | void)[] = [lockDataFolder(paths.lock)];
  try {
    // What is kept.
    const db = await openDatabase(paths.database, logger);
    opened.push(() => db.destroy());
    const storage = await ArtifactFolder.open(paths.artifacts);
    const keys = await openKeys(paths, config, env);
    const hubClock = new HubClock({
      clock,
      logger,
      onChange: (verdict, at) => hubAlerts.clock(verdict, at),
    });
    const guard = { require: () => hubClock.require(), signed: (at: number) => hubClock.signed(at) };
    const tuf = await TufRepository.open({ storage: new SqlTufStorage(db, clock), keys, fleet: fleetId, clock, guard });

    // Who may do what, and who did.
    const tokens = new ApiTokens(db, clock);
    const audit = new AuditLog(db, clock);
    opened.push(() => audit.sumUp(true));
    const signIns = new FailureLimiter(clock);
    const authenticator = new Authenticator(tokens, signIns);
    const bus = new LiveBus(logger);

    // Models and versions.
    const store = new VersionStore(db);
    const uploads = new ArtifactUploads(storage, store, clock);
    // Before anybody can upload: what is found here is of no upload under way.
    const adopted = await uploads.adoptUnknown();
    if (adopted > 0) logger.warn({ artifacts: adopted }, 'artifacts of uploads that were cut off');
    const registry = new Registry({ store, storage, tuf, users: [fleetUsers, rolloutUsers], live: bus, clock, logger });

    // The broker, inside or outside, and the hub as its client.
    const tls =
      config.tlsCertFile === undefined || config.tlsKeyFile === undefined
        ? undefined
        : { cert: await readSetting(config.tlsCertFile, 'certificate'), key: await readSetting(config.tlsKeyFile, 'private key') };
    const broker = await openBroker({ config, tls, passwords: new DevicePasswords(db, clock), fetchPolicy: new FetchRights(db), logger });
    const link = new BrokerLink({
      connection: broker.connection,
      clientId: `skerry-hub-${randomUUID()}`,
      clock,
      logger,
      random: Math.random,
    });

    // Who is told when people should look.
    const webhook =
      config.alertUrl === undefined || config.alertSecretFile === undefined
        ? undefined
        : new WebhookAlerts({
            url: config.alertUrl,
            secret: webhookKey(await readSetting(config.alertSecretFile, 'webhook secret')),
            clock,
            logger,
            random: Math.random,
          });

    const hubAlerts = new HubAlerts({ clock, bus, audit, logger, send: (message) => webhook?.send(message) });
    const disk = new DiskWatch({
      folder: paths.root,
      db,
      clock,
      logger,
      notify: (alert) => webhook?.send({ type: 'hub.disk', at: alert.at, data: alert }),
    });
    hubClock.begin(tuf.signedAt());
    hubClock.onCredible(() => void resign());
    const resign = async (): Promise<void> => {
      await tuf.resign().catch((cause: unknown) => {
        logger.error({ code: asSkerryError(cause).code, cause: asSkerryError(cause).message }, 'the timestamp could not be signed again');
      });
    };

    // Devices: what they are, should run, fetch and report.
    const widths = { ...INGEST_DEFAULTS.widths, device: config.deviceStep };
    const places = new HubPlaces(db, config);
    const fleet = new Fleet({
      db,
      clock,
      logger,
      bus,
      fleet: fleetId,
      link,
      artifacts: storage,
      directorKey: keys.director,
      hubClock,
      trust: {
        publication: () => tuf.publication(),
        root: () => tuf.root().bytes,
        learn: (files) => tuf.learn(files),
        timestamp: () => tuf.publication()?.versions.timestamp ?? 0,
      },
      onRecovered: (recovered) => hubAlerts.recovered(recovered),
      place: () => places.current(),
      endpoints: (host) => brokerEndpoints(config, { http: server.port, mqtt: broker.port() }, host),
      brokerForgets: broker.embedded !== undefined,
      disconnect: (device) => broker.embedded?.disconnect(device),
      onCredentials: broker.onCredentials,
      ingest: { widths },
      alert: (alert) => webhook?.send({ type: `device.${alert.mark}`, at: alert.at, data: alert }),
      claims: {
        underWay: rolloutsUnderWay,
        supersede: (ended, by, reason, write) => rollouts.supersede(ended, by, reason, write),
        capability: async (model, version) => {
          const { runnable } = await rolloutRegistry.version(model, version);
          return (device) => whyIncapable(runnable, device);
        },
      },
      // Single devices make a row every few minutes each: kept for as long as devices are compared, no longer.
      retention: { events: days(config.eventDays), models: days(config.metricDays), devices: days(Math.min(config.metricDays, 7)) },
    });
    tuf.onPublished((publication) => {
      bus.publish({ kind: 'trust.changed', at: new Date(clock.now()).toISOString(), files: [...publication.files.keys()] });
      void fleet.trust.publish();
    });

    // Rollouts: waves of wishes, watched by gates.
    const rolloutRegistry = new RegistryAdapter(store);
    const rolloutFleet = new FleetAdapter({ db, issuer: fleet.issuer, clock, logger });
    const rolloutStore = new ObservedStore(observe, db, (trx, wishes) => rolloutFleet.write(trx, wishes));
    const cohorts = new Cohorts(db, rolloutStore, clock);
    const rollouts = new RolloutController({
      store: rolloutStore,
      fleet: rolloutFleet,
      evidence: new TelemetryEvidence({ db, clock, bucket: widths.device, refresh: config.rolloutLook * 3 }),
      outcomes: new TelemetryTrialOutcome(db, widths.device),
      registry: rolloutRegistry,
      cohorts,
      alerts: new AllAlerts([new LogAlerts(logger), ...(webhook === undefined ? [] : [webhook])]),
      every: config.rolloutLook,
      hubClock,
      onMoved: ({ id, state, since }) => bus.publish({ kind: 'rollout.changed', at: new Date(since).toISOString(), rollout: id, state }),
      clock,
      logger,
    });

    // The API over all of it.
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
      routes: [
        ...systemRoutes({
          version: SKERRY_VERSION,
          checks: [
            { name: 'database', check: async () => void (await db.selectFrom('models').select('name').limit(1).execute()) },
            { name: 'disk', check: () => disk.whyNotWritable() },
            {
              name: 'broker',
              check: () => Promise.resolve(link.status.kind === 'online' ? undefined : `the connection is ${link.status.kind}`),
            },
          ],
          metrics: [
            () => hubMetrics({ db, storage, tuf, hubClock, feed, clock, version: SKERRY_VERSION }),
            () => disk.metrics(),
            () => metrics.families(),
            () => fleetMetrics({ db, clock, ingest: fleet.ingest, query: fleet.metrics }),
          ],
          openApi: () => server.openApi(),
        }),
        ...accessRoutes(tokens, audit, () => clock.now()),
        ...registryRoutes(registry, uploads),
        ...hubClockRoutes(hubClock, resign),
        ...trustRoutes(tuf, hubPublicKeys(fleetId, keys)),
        ...enrollRoutes(fleet.enrolment, fleet.tokens, new FailureLimiter(clock), () => clock.now()),
        ...deviceRoutes(fleet.devices, fleet.starts, () => hubClock.notice),
        ...deviceIdentityRoutes(fleet.devices, fleet.tokens, () => clock.now()),
        ...hubRoutes(new Moves(db, places, fleet.issuer)),
        ...deploymentRoutes(fleet.deployments),
        ...rolloutRoutes(rollouts, rolloutStore, cohorts),
        ...telemetryRoutes(db, fleet.metrics, () => clock.now()),
      ],
    });
    server.addUpgrade(LIVE_PATH, (http) => feed.attachTo(http));
    const { embedded } = broker;
    if (embedded !== undefined) server.addUpgrade(MQTT_PATH, (http) => embedded.attachTo(http));

    // What comes round by the clock.
    const trustWatch = new TrustWatch({
      tuf,
      clock,
      logger,
      notify: (alert) => webhook?.send({ type: 'trust.expires', at: alert.at, data: alert }),
    });
    // By a clock that jumped everything would be old.
    const whenCredible = (drop: () => Promise<unknown>): Promise<unknown> =>
      hubClock.isCredible ? drop() : Promise.resolve('the clock is not credible');
    const housekeeping = new Housekeeping(
      [
        { name: 'sign the timestamp again', when: '7 * * * *', run: () => tuf.resign() },
        { name: 'look at the disk', when: '* * * * *', run: () => disk.look() },
        { name: 'look when signatures end', when: '17 * * * *', run: () => Promise.resolve(trustWatch.look()) },
        { name: 'sum up refusals', when: '*/5 * * * *', run: () => audit.sumUp() },
        {
          name: 'drop old audit records',
          when: '23 3 * * *',
          run: () => whenCredible(() => audit.purge(clock.now() - days(config.auditDays))),
        },
        ...historyChores({ db, tokens, fleet, before: () => clock.now() - days(config.auditDays), whenCredible }),
        { name: 'drop uploads nobody named', when: '41 3 * * *', run: () => whenCredible(() => registry.purgeOrphans()) },
      ],
      logger,
    );

    // In this order; closed in the reverse one. The fleet subscribes before the link connects, and closes after it.
    if (hubClock.isCredible) await tuf.resign();
    const services = new ServiceGroup([
      fleet,
      ...(embedded === undefined ? [] : [embedded]),
      link,
      ...(webhook === undefined ? [] : [webhook]),
      rollouts,
      feed,
      server,
      housekeeping,
    ]);
    opened.push(() => services.close());
    await services.start();
    const newAdminToken = (await ensureAdminToken(paths, tokens)) ? paths.adminToken : undefined;

    // Last, so that whoever finds the state file finds a hub that answers.
    const ports = { http: server.port, mqtt: broker.port() };
    const state: HubState = {
      pid: process.pid,
      version: SKERRY_VERSION,
      fleet: fleetId,
      startedAt: new Date(clock.now()).toISOString(),
      httpUrl: localHttpUrl(config, ports),
      ...(config.publicUrl === undefined ? {} : { publicUrl: config.publicUrl }),
      mqttUrl: brokerEndpoints(config, ports, '').url,
      broker: embedded === undefined ? 'external' : 'embedded',
    };
    await writeState(paths, state);
    opened.push(() => removeState(paths));
    trustWatch.look();
    logger.info({ httpUrl: state.httpUrl, mqttUrl: state.mqttUrl, fleet: fleetId }, 'hub ready');
    return { state, newAdminToken, close: () => closeAll(opened) };
  } catch (cause) {
    await closeAll(opened);
    throw cause;
  }
}

/** Closes in reverse what was opened; a second call has nothing left to do. One that fails does not keep the others open. */
async function closeAll(opened: (() => Promise<void> | void)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of opened.splice(0).toReversed()) {
    try {
      await close();
    } catch (cause) {
      failures.push(cause);
    }
  }
  if (failures.length > 0) throw failures[0];
}
