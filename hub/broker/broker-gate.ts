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

export interface GateOptions {
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

/** Joins aedes to the authentication and the topic rules; decides nothing itself. */
export function brokerGate(options: GateOptions): Gate {
  const identities = new WeakMap<Client, Identity>();
  const foreignWills = new WeakSet<Client>();
  /** The start of the agent behind a connection, as its will names it. */
  const starts = new WeakMap<Client, Pick<Presence, 'bootId' | 'afterBootId' | 'host'>>();
  const hubPasswordHash = hashPassword(options.hubPassword);

  const check = async (client: Client, username: string | undefined, password: Uint8Array): Promise<boolean> => {
    if (options.isHubStream(client.conn)) {
      const valid = timingSafeEqual(hashPassword(password), hubPasswordHash);
      if (valid) identities.set(client, { kind: 'hub', fleet: options.fleet });
      return valid;
    }
    const device = username ?? '';
    const valid = passwordMatches(password, await options.credentials.passwordHash(device));
    if (valid) identities.set(client, { kind: 'device', fleet: options.fleet, device });
    return valid;
  };

  /** Undefined when the credentials fit. */
  const decide = async (client: Client, username: string | undefined, password: Uint8Array): Promise<Refusal | undefined> => {
    try {
      if (!(await check(client, username, password))) return refusal('bad user name or password', BAD_CREDENTIALS);
      const start = starts.get(client);
      const isCopy = start !== undefined && (await options.credentials.isCopy(username ?? '', start));
      return isCopy ? refusal('another device answers under this name', NOT_AUTHORIZED) : undefined;
    } catch (cause) {
      options.logger.error({ device: username, cause: asSkerryError(cause).message }, 'credentials could not be looked up');
      return refusal('credentials could not be looked up', SERVER_UNAVAILABLE);
    }
  };

  const answer = async (client: Client, username: string | undefined, password: Uint8Array, done: Answer): Promise<void> => {
    const verdict = await decide(client, username, password);
    done(verdict ?? null, verdict === undefined);
  };

  const mayFetch = async (device: string, digest: string): Promise<boolean> => {
    try {
      return await options.fetchPolicy.mayFetch(device, digest);
    } catch (cause) {
      options.logger.error({ device, digest, cause: asSkerryError(cause).message }, 'the right to fetch a blob could not be looked up');
      return false;
    }
  };

  return {
    preConnect(client, packet, done) {
      // A session held over a disconnect would queue without bound in memory, and no step needs one (DESIGN R9).
      packet.clean = true;
      if (options.isHubStream(client.conn)) {
        done(null, true);
        return;
      }
      // Checked here as well as on publication, so that a foreign will is refused while somebody is there to be told.
      const identity: Identity = { kind: 'device', fleet: options.fleet, device: packet.clientId };
      if (packet.will !== undefined && allowed(identity, 'will', packet.will.topic) !== true) foreignWills.add(client);
      const start = packet.will === undefined ? undefined : startIn(packet.will.payload, packet.clientId);
      if (start !== undefined) starts.set(client, start);
      done(null, true);
    },
    authenticate(client, username, password, done) {
      if (!options.isHubStream(client.conn) && client.id !== username) {
        done(refusal('client id and user name differ', IDENTIFIER_REJECTED), false);
        return;
      }
      if (foreignWills.has(client)) {
        done(refusal('not allowed to leave a will there', NOT_AUTHORIZED), false);
        return;
      }
      void answer(client, username, password ?? new Uint8Array(), done);
    },
    authorizePublish(client, packet, done) {
      // `null`: the broker itself ($SYS), and wills of clients already gone, which aedes no longer names.
      const identity = client === null ? undefined : identities.get(client);
      if (identity !== undefined && allowed(identity, packet.retain ? 'publish-retained' : 'publish', packet.topic) === true) {
        done();
        return;
      }
      options.logger.warn({ client: client?.id, topic: packet.topic.slice(0, 256), retain: packet.retain }, 'publish refused');
      done(refusal('not allowed to publish there', NOT_AUTHORIZED));
    },
    authorizeSubscribe(client, subscription, done) {
      const identity = identities.get(client);
      const ruling = identity !== undefined && allowed(identity, 'subscribe', subscription.topic);
      const grant = (may: boolean): void => {
        if (may && (identity?.kind === 'hub' || options.subscriptions.add(client, subscription.topic))) {
          done(null, subscription);
          return;
        }
        options.logger.warn({ client: client.id, filter: subscription.topic.slice(0, 256) }, 'subscription refused');
        done(null, null); // MQTT 3.9.3: answered with 0x80
      };
      if (typeof ruling === 'boolean') grant(ruling);
      else void mayFetch(client.id, ruling.blob).then(grant);
    },
  };
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
