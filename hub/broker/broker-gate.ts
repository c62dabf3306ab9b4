import { timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { AedesOptions, Client } from 'aedes';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { decodeMessage } from '#shared/protocol/codec.js';
import type { Presence } from '#shared/protocol/messages.js';
import { type DeviceCredentials, type FetchPolicy, hashPassword, passwordMatches } from './credentials.js';
import { allowed, type Identity } from './decide/topic-rules.js';
import type { Subscriptions } from './subscriptions.js';

interface GateOptions {
  readonly fleet: string;
  readonly credentials: DeviceCredentials;
  readonly fetchPolicy: FetchPolicy;
  readonly hubPassword: string;
  /** True for a connection that came in through the hub's own loopback listener. */
  readonly isHubStream: (stream: Duplex) => boolean;
  readonly subscriptions: Subscriptions;
  readonly logger: Logger;
}

type Answer = Parameters<Gate['authenticate']>[3];
type Gate = Required<Pick<AedesOptions, 'preConnect' | 'authenticate' | 'authorizePublish' | 'authorizeSubscribe'>>;

/** CONNACK return codes (MQTT 3.1.1, 3.2.2.3). */
const IDENTIFIER_REJECTED = 2;
const SERVER_UNAVAILABLE = 3;
const BAD_CREDENTIALS = 4;
const NOT_AUTHORIZED = 5;

type PreConnect = Parameters<Gate['preConnect']>;
type Publish = Parameters<Gate['authorizePublish']>;
type Subscribe = Parameters<Gate['authorizeSubscribe']>;

/** Joins aedes to the authentication and the topic rules; decides nothing itself. */
export function brokerGate(options: GateOptions): Gate {
  const gate = new BrokerGate(options);
  return {
    preConnect: (client, packet, done) => gate.preConnect(client, packet, done),
    authenticate: (client, username, password, done) => gate.authenticate(client, username, password ?? new Uint8Array(), done),
    authorizePublish: (client, packet, done) => gate.authorizePublish(client, packet, done),
    authorizeSubscribe: (client, subscription, done) => gate.authorizeSubscribe(client, subscription, done),
  };
}

class BrokerGate {
  readonly #options: GateOptions;
  readonly #identities = new WeakMap<Client, Identity>();
  readonly #foreignWills = new WeakSet<Client>();
  /** The start of the agent behind a connection, as its will names it. */
  readonly #starts = new WeakMap<Client, Pick<Presence, 'bootId' | 'afterBootId' | 'host'>>();
  readonly #hubPasswordHash: ReturnType<typeof hashPassword>;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#hubPasswordHash = hashPassword(options.hubPassword);
  }

  preConnect(client: PreConnect[0], packet: PreConnect[1], done: PreConnect[2]): void {
    const { isHubStream, fleet } = this.#options;
    // A session held over a disconnect would queue without bound in memory, and no step needs one (R9).
    packet.clean = true;
    if (isHubStream(client.conn)) {
      done(null, true);
      return;
    }
    // Checked here as well as on publication, so that a foreign will is refused while somebody is there to be told.
    const identity: Identity = { kind: 'device', fleet, device: packet.clientId };
    if (packet.will !== undefined && allowed(identity, 'will', packet.will.topic) !== true) this.#foreignWills.add(client);
    const start = packet.will === undefined ? undefined : startIn(packet.will.payload, packet.clientId);
    if (start !== undefined) this.#starts.set(client, start);
    done(null, true);
  }

  authenticate(client: Client, username: string | undefined, password: Uint8Array, done: Answer): void {
    if (!this.#options.isHubStream(client.conn) && client.id !== username) {
      done(refusal('client id and user name differ', IDENTIFIER_REJECTED), false);
      return;
    }
    if (this.#foreignWills.has(client)) {
      done(refusal('not allowed to leave a will there', NOT_AUTHORIZED), false);
      return;
    }
    void this.#answer(client, username, password, done);
  }

  authorizePublish(client: Publish[0], packet: Publish[1], done: Publish[2]): void {
    // `null`: the broker itself ($SYS), and wills of clients already gone, which aedes no longer names.
    const identity = client === null ? undefined : this.#identities.get(client);
    if (identity !== undefined && allowed(identity, packet.retain ? 'publish-retained' : 'publish', packet.topic) === true) {
      done();
      return;
    }
    this.#options.logger.warn({ client: client?.id, topic: packet.topic.slice(0, 256), retain: packet.retain }, 'publish refused');
    done(refusal('not allowed to publish there', NOT_AUTHORIZED));
  }

  authorizeSubscribe(client: Subscribe[0], subscription: Subscribe[1], done: Subscribe[2]): void {
    const { subscriptions, logger } = this.#options;
    const identity = this.#identities.get(client);
    const ruling = identity !== undefined && allowed(identity, 'subscribe', subscription.topic);
    const grant = (may: boolean): void => {
      if (may && (identity?.kind === 'hub' || subscriptions.add(client, subscription.topic))) {
        done(null, subscription);
        return;
      }
      logger.warn({ client: client.id, filter: subscription.topic.slice(0, 256) }, 'subscription refused');
      done(null, null); // MQTT 3.9.3: answered with 0x80
    };
    if (typeof ruling === 'boolean') grant(ruling);
    else void this.#mayFetch(client.id, ruling.blob).then(grant);
  }

  async #answer(client: Client, username: string | undefined, password: Uint8Array, done: Answer): Promise<void> {
    const refused = await this.#refusalOf(client, username, password);
    done(refused ?? null, refused === undefined);
  }

  /** Undefined when the credentials fit. */
  async #refusalOf(client: Client, username: string | undefined, password: Uint8Array): Promise<Refusal | undefined> {
    const { credentials, logger } = this.#options;
    try {
      if (!(await this.#fits(client, username, password))) return refusal('bad user name or password', BAD_CREDENTIALS);
      const start = this.#starts.get(client);
      const isCopy = start !== undefined && (await credentials.isCopy(username ?? '', start));
      return isCopy ? refusal('another device answers under this name', NOT_AUTHORIZED) : undefined;
    } catch (cause) {
      logger.error({ device: username, cause: asSkerryError(cause).message }, 'credentials could not be looked up');
      return refusal('credentials could not be looked up', SERVER_UNAVAILABLE);
    }
  }

  async #fits(client: Client, username: string | undefined, password: Uint8Array): Promise<boolean> {
    const { isHubStream, fleet, credentials } = this.#options;
    if (isHubStream(client.conn)) {
      const valid = timingSafeEqual(hashPassword(password), this.#hubPasswordHash);
      if (valid) this.#identities.set(client, { kind: 'hub', fleet });
      return valid;
    }
    const device = username ?? '';
    const valid = passwordMatches(password, await credentials.passwordHash(device));
    if (valid) this.#identities.set(client, { kind: 'device', fleet, device });
    return valid;
  }

  async #mayFetch(device: string, digest: string): Promise<boolean> {
    try {
      return await this.#options.fetchPolicy.mayFetch(device, digest);
    } catch (cause) {
      this.#options.logger.error(
        { device, digest, cause: asSkerryError(cause).message },
        'the right to fetch a blob could not be looked up',
      );
      return false;
    }
  }
}

/** The form aedes takes a refusal in: an Error with the CONNACK return code. */
type Refusal = Error & { returnCode: number };

function refusal(message: string, returnCode: number): Refusal {
  return Object.assign(new Error(message), { returnCode });
}

/** The start that a will speaks for; a will that cannot be read names none, and the hub ignores it as a message. */
function startIn(will: Uint8Array | string, device: string): Pick<Presence, 'bootId' | 'afterBootId' | 'host'> | undefined {
  try {
    return decodeMessage('presence', Buffer.from(will), device);
  } catch {
    return undefined;
  }
}
