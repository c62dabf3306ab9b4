import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuditLog } from '#hub/api/audit.js';
import { Authenticator } from '#hub/api/authenticator.js';
import type { Role } from '#hub/kernel/roles.js';
import { trustedProxies } from '#hub/api/client-address.js';
import { FailureLimiter } from '#hub/kernel/failure-limiter.js';
import { HttpMetrics } from '#hub/api/http-metrics.js';
import { LiveBus } from '#hub/kernel/live-bus.js';
import { LiveFeed } from '#hub/api/live-feed.js';
import { LIVE_PATH } from '#hub/api/live-path.js';
import type { Route } from '#hub/api/route.js';
import { accessRoutes } from '#hub/api/routes/access.js';
import { registryRoutes } from '#hub/api/routes/registry.js';
import { fleetUsers } from '#hub/fleet/version-users.js';
import { rolloutUsers } from '#hub/rollouts/version-users.js';
import { systemRoutes } from '#hub/api/routes/system.js';
import { trustRoutes } from '#hub/api/routes/trust.js';
import { ApiServer } from '#hub/api/server.js';
import { ApiTokens } from '#hub/api/tokens.js';
import { ArtifactUploads } from '#hub/registry/artifact-uploads.js';
import { Registry } from '#hub/registry/registry.js';
import { SqlTufStorage } from '#hub/registry/sql-tuf-storage.js';
import { hubPublicKeys, openHubKeys } from '#hub/registry/tuf/hub-keys.js';
import { TufRepository } from '#hub/registry/tuf/repository.js';
import { VersionStore } from '#hub/registry/version-store.js';
import { ArtifactFolder } from '#hub/store/artifact-folder.js';
import type { Db } from '#hub/store/database.js';
import { openDatabase } from '#hub/store/open.js';
import { type Clock, systemClock } from '#shared/kernel/clock.js';
import { KEY_FILE_COST, passphraseSecret } from '#shared/trust/key-file.js';
import { recordingLogger } from './recorder.js';

/** The hub's API with registry and trust, really listening, without fleet and broker. */
export interface ApiHub {
  readonly url: string;
  readonly folder: string;
  readonly db: Db;
  readonly tokens: ApiTokens;
  readonly bus: LiveBus;
  readonly tuf: TufRepository;
  readonly routes: readonly Route[];
  readonly storage: ArtifactFolder;
  /** A token of each role. */
  readonly secret: Readonly<Record<Role, string>>;
  fetch(role: Role | undefined, path: string, init?: RequestInit): Promise<Response>;
  close(): Promise<void>;
}

/** With `more`, it has other routes on its database as well. It trusts proxies on loopback. */
export async function startApiHub(
  fleet = 'main',
  more: (db: Db) => readonly Route[] = () => [],
  clock: Clock = systemClock,
): Promise<ApiHub> {
  const folder = await mkdtemp(join(tmpdir(), 'skerry-api-'));
  const { logger } = recordingLogger();
  const db = await openDatabase(join(folder, 'hub.db'), logger);
  const storage = await ArtifactFolder.open(join(folder, 'artifacts'));
  const keys = await openHubKeys(join(folder, 'keys'), passphraseSecret('test'), KEY_FILE_COST);
  const tuf = await TufRepository.open({ storage: new SqlTufStorage(db, clock), keys, fleet, clock });
  const store = new VersionStore(db);
  const bus = new LiveBus(logger);
  const tokens = new ApiTokens(db, clock);
  const audit = new AuditLog(db, clock);
  const authenticator = new Authenticator(tokens, new FailureLimiter(clock));
  const proxies = trustedProxies('loopback');
  const metrics = new HttpMetrics();
  const feed = new LiveFeed({ bus, authenticator, tokens, trustedProxies: proxies, clock, logger });
  const routes = [
    ...systemRoutes({
      version: '0.0.0',
      checks: [{ name: 'database', check: () => Promise.resolve(undefined) }],
      metrics: [() => metrics.families()],
      openApi: () => server.openApi(),
    }),
    ...accessRoutes(tokens, audit, () => clock.now()),
    ...registryRoutes(
      new Registry({ store, storage, tuf, users: [fleetUsers, rolloutUsers], live: bus, clock, logger }),
      new ArtifactUploads(storage, store, clock),
    ),
    ...trustRoutes(tuf, hubPublicKeys(fleet, keys)),
    ...more(db),
  ];
  const server: ApiServer = new ApiServer({
    host: '127.0.0.1',
    port: 0,
    version: '0.0.0',
    routes,
    metrics,
    logger,
    authenticator,
    audit,
    trustedProxies: proxies,
  });
  server.addUpgrade(LIVE_PATH, (http) => feed.attachTo(http));
  await feed.start();
  await server.start();
  const make = async (role: Role): Promise<string> => (await tokens.create({ name: `a ${role}`, role, createdBy: 'hub' })).token;
  const secret = {
    admin: await make('admin'),
    operator: await make('operator'),
    publisher: await make('publisher'),
    viewer: await make('viewer'),
  };
  const url = `http://127.0.0.1:${server.port}`;
  return {
    url,
    folder,
    db,
    tokens,
    bus,
    tuf,
    routes,
    storage,
    secret,
    fetch: (role, path, init = {}) =>
      fetch(`${url}${path}`, {
        ...init,
        headers: role === undefined ? (init.headers ?? {}) : withBearer(init.headers, secret[role]),
      }),
    async close() {
      await feed.close();
      await server.close();
      await db.destroy();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function withBearer(given: RequestInit['headers'], token: string): Headers {
  const headers = new Headers(given);
  headers.set('authorization', `Bearer ${token}`);
  return headers;
}
