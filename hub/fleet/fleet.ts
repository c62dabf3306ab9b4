import type { LiveBus } from '#hub/kernel/live-bus.js';
import type { DeviceInbox } from '#hub/broker/device-inbox.js';
import type { BrokerPort } from '#hub/broker/link.js';
import type { HubClock } from '#hub/clock/hub-clock.js';
import type { Db } from '#hub/store/database.js';
import type { ArtifactStorage } from '#hub/store/artifacts.js';
import type { Clock } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import { Parts, type Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { DeviceId, FleetId } from '#shared/protocol/device.js';
import type { Reported } from '#shared/protocol/messages.js';
import type { HubPlace } from '#shared/trust/desired.js';
import type { SigningKey } from '#shared/trust/keys.js';
import { BlobServer, type BlobServerSettings } from './blob-server.js';
import { Deployments } from './deployments.js';
import type { IssuePolicy } from './decide/desired-content.js';
import { DesiredIssuer } from './desired-issuer.js';
import { Devices } from './devices.js';
import { type DeviceAlert, DeviceMarks } from './device-marks.js';
import { DeviceClocks } from './device-clocks.js';
import { type AdmitStart, DeviceStates, type HeardReport } from './device-states.js';
import { Enrolment } from './enrolment.js';
import { EnrolmentTokens } from './enrolment-tokens.js';
import { FetchRights } from './fetch-rights.js';
import { HeldByDevices, type HeldDeps } from './held.js';
import { HubBlobs } from './hub-blobs.js';
import { Leftovers } from './leftovers.js';
import { connectInbound } from './inbound.js';
import type { RolloutClaims } from './rollout-claims.js';
import { StartWatch } from './start-watch.js';
import { WhenRoom } from './when-room.js';
import { type TrustFiles, TrustPublisher } from './trust-publisher.js';

export interface FleetOptions {
  readonly db: Db;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly bus: LiveBus;
  readonly fleet: FleetId;
  /** Not started yet: everything here subscribes first. */
  readonly link: BrokerPort;
  readonly inbox: DeviceInbox;
  readonly admitStart: AdmitStart;
  readonly artifacts: ArtifactStorage;
  readonly directorKey: SigningKey;
  /** The published TUF files, and the newest root's exact bytes. */
  readonly trust: Pick<HeldDeps, 'learn' | 'timestamp'> & {
    readonly publication: () => TrustFiles | undefined;
    readonly root: () => Uint8Array;
  };
  /** Tells people that this hub lost something, and a device showed it. */
  readonly onRecovered: HeldDeps['onRecovered'];
  /** Broker addresses told to a device that reached the hub under this host name. */
  readonly endpoints: (host: string) => { readonly url: string; readonly wsUrl?: string };
  /** True for the embedded broker: it starts with nobody connected and nothing retained. */
  readonly brokerForgets: boolean;
  /** Cuts a device's connections, where the hub can. */
  readonly disconnect: (device: DeviceId) => void;
  /** Devices came, left or got another password: an external broker has to learn it. */
  readonly onCredentials: () => Promise<void>;
  /** Where devices find the hub, beside what they were told at enrolment. */
  readonly place: () => Promise<HubPlace | undefined>;
  /** What rollouts decide, which deployments keep away from. */
  readonly claims: RolloutClaims;
  readonly hubClock: HubClock;
  /** Tells people what the hub noticed of a device; must not wait for the network. */
  readonly alert: (alert: DeviceAlert) => void;
  readonly issuePolicy?: IssuePolicy;
  readonly blobs?: Partial<BlobServerSettings>;
}

/** The fleet side of a hub, put together: devices, what they should run, and what they fetch. */
export class Fleet implements Service {
  readonly tokens: EnrolmentTokens;
  readonly enrolment: Enrolment;
  readonly devices: Devices;
  readonly deployments: Deployments;
  readonly issuer: DesiredIssuer;
  readonly trust: TrustPublisher;
  readonly states: DeviceStates;
  readonly blobs: BlobServer;
  readonly marks: DeviceMarks;
  readonly starts: StartWatch;
  readonly held: HeldByDevices;
  readonly #clocks: DeviceClocks;
  readonly #options: FleetOptions;
  readonly #leftovers: Leftovers;
  readonly #parts = new Parts();
  readonly #room: WhenRoom;

  constructor(options: FleetOptions) {
    const { db, clock, logger, bus, fleet, link } = options;
    this.#options = options;
    this.#room = new WhenRoom(clock, logger);
    // First in line on every connect: a desired state is of no use to a device without the metadata behind it.
    this.trust = new TrustPublisher({ link, fleet, logger, current: options.trust.publication });
    const rights = new FetchRights(db);
    this.issuer = createIssuer(options, rights);
    this.deployments = new Deployments({ db, clock, bus, issuer: this.issuer, claims: options.claims, hubClock: options.hubClock });
    this.tokens = new EnrolmentTokens(db, clock);
    this.marks = new DeviceMarks({ db, clock, bus, logger, alert: options.alert });
    this.starts = new StartWatch({ db, clock, link, fleet, marks: this.marks, logger });
    this.devices = new Devices({
      db,
      clock,
      bus,
      marks: this.marks,
      onLabels: (device) => this.#adopt(device),
      onRevoked: (device) => this.#revoked(device),
      onRestored: (device) => this.#enrolled(device),
    });
    this.enrolment = new Enrolment({
      db,
      clock,
      fleet,
      bus,
      tokens: this.tokens,
      endpoints: options.endpoints,
      pinnedRoot: () => Promise.resolve(options.trust.root()),
      onEnrolled: (device) => this.#enrolled(device),
    });
    this.held = new HeldByDevices({
      fleet,
      directorKey: options.directorKey.publicKey,
      issuer: this.issuer,
      marks: this.marks,
      logger,
      learn: options.trust.learn,
      timestamp: options.trust.timestamp,
      onRecovered: options.onRecovered,
    });
    this.#clocks = new DeviceClocks({ marks: this.marks, hubClock: options.hubClock });
    this.states = new DeviceStates({
      db,
      clock,
      bus,
      logger,
      onReported: (device, reported, heard) => this.#reported(device, reported, heard),
      onStart: (device, heard) => this.starts.heard(device, heard),
      admitStart: options.admitStart,
    });
    this.blobs = createBlobServer(options, rights);
    this.#leftovers = new Leftovers({ db, link, fleet, logger });
    connectInbound({ inbox: options.inbox, states: this.states, blobs: this.blobs, held: this.held, leftovers: this.#leftovers });
    this.#parts.starts(this.states, this.blobs, this.issuer);
    this.#parts.onClose(() => this.#room.close());
  }

  /** To be called before the link starts. */
  async start(): Promise<void> {
    if (this.#options.brokerForgets) await this.states.allOffline();
    await this.#parts.start();
  }

  /** To be called after the link has closed: nothing new comes in, what has come is stored. */
  close(): Promise<void> {
    return this.#parts.close();
  }

  async #reported(device: DeviceId, reported: Reported, { received, replayed }: HeardReport): Promise<void> {
    if (!replayed) await this.#clocks.heard(device, reported, received);
    await this.held.reported(device, reported);
    await this.devices.describe(device, reported);
  }

  /** Stored already is that the device matches: what follows from it waits for room. */
  async #adopt(device: DeviceId): Promise<void> {
    await this.#room.run(`deployments of ${device}`, async () => this.deployments.adopt(device, await this.devices.labels(device)));
  }

  async #enrolled(device: DeviceId): Promise<void> {
    // A session under credentials that were replaced ends.
    this.#options.disconnect(device);
    await this.#options.onCredentials();
    await this.#adopt(device);
    await this.#room.run(`the desired state of ${device}`, () => this.issuer.issue([device]));
  }

  async #revoked(device: DeviceId): Promise<void> {
    this.#options.disconnect(device);
    await this.issuer.forget(device);
    await this.#leftovers.clear(device);
    await this.#options.onCredentials().catch((cause: unknown) => {
      this.#options.logger.error({ device, cause: asSkerryError(cause).message }, 'the broker could not be informed of a removed device');
    });
  }
}

function createIssuer(options: FleetOptions, rights: FetchRights): DesiredIssuer {
  const { db, clock, fleet, link, logger, hubClock, place, issuePolicy } = options;
  return new DesiredIssuer({
    db,
    rights,
    clock,
    fleet,
    link,
    logger,
    key: options.directorKey,
    hubClock,
    place,
    ...(issuePolicy === undefined ? {} : { policy: issuePolicy }),
  });
}

function createBlobServer(options: FleetOptions, rights: FetchRights): BlobServer {
  const { db, link, fleet, clock, logger, artifacts, blobs } = options;
  const source = new HubBlobs(db, artifacts);
  return new BlobServer({ link, fleet, clock, logger, source, rights, ...(blobs === undefined ? {} : { settings: blobs }) });
}
