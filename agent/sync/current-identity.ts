import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { DesiredState } from '#shared/trust/desired.js';
import type { StateStore } from '#agent/store/contract.js';
import { brokerUrls } from './broker-urls.js';
import type { BrokerAddress } from './contract.js';
import { type Identity, readIdentity } from './identity.js';

interface CurrentIdentityDeps {
  readonly data: string;
  /** As it was at the start. */
  readonly identity: Identity;
  /** The setting `hub`: tried before every other address. */
  readonly hub: string | undefined;
  /** PEM of the setting `ca-file`. */
  readonly ca: string | undefined;
  readonly state: Pick<StateStore, 'get' | 'set'>;
  readonly desired: () => DesiredState | undefined;
  readonly logger: Logger;
}

const LET_IN_KEY = 'sync.broker';

/**
 * Who this device is now, and where its broker may be. The identity file is read again before every connection, so that an
 * agent that runs takes new credentials and labels from `skerry-agent enroll --force` without a restart. Another device or
 * fleet in the file takes effect with the next start: everything here belongs to the one the agent started as.
 */
export class CurrentIdentity {
  readonly #deps: CurrentIdentityDeps;
  #identity: Identity;
  #letIn: string | undefined;
  #warned = false;

  private constructor(deps: CurrentIdentityDeps, letIn: string | undefined) {
    this.#deps = deps;
    this.#identity = deps.identity;
    this.#letIn = letIn;
  }

  static async open(deps: CurrentIdentityDeps): Promise<CurrentIdentity> {
    return new CurrentIdentity(deps, await deps.state.get(LET_IN_KEY));
  }

  get identity(): Identity {
    return this.#identity;
  }

  /** Base URL of the hub's API, as far as it is known. */
  get hub(): string {
    return this.#deps.hub ?? this.#deps.desired()?.hub?.api ?? this.#identity.hub;
  }

  /** What the next connection is made with. */
  async broker(): Promise<BrokerAddress> {
    await this.#readAgain();
    const { hub, ca = this.#identity.mqtt.ca } = this.#deps;
    const { username, password } = this.#identity.mqtt;
    const announced = this.#deps.desired()?.hub?.brokers ?? [];
    const urls = brokerUrls({ setting: hub, letIn: this.#letIn, enrolled: this.#identity.mqtt, announced });
    return { urls, username, password, ...(ca === undefined ? {} : { ca }) };
  }

  /** The address at `url` let this device in: the next start begins there. */
  async letIn(url: string): Promise<void> {
    if (this.#letIn === url) return;
    this.#letIn = url;
    try {
      await this.#deps.state.set(LET_IN_KEY, url);
    } catch (cause) {
      this.#deps.logger.warn(
        { reason: asSkerryError(cause).message },
        'the working address could not be stored; the next start tries all addresses',
      );
    }
  }

  async #readAgain(): Promise<void> {
    const { data, logger } = this.#deps;
    try {
      const read = await readIdentity(data);
      if (read === undefined) return;
      if (read.device === this.#identity.device && read.fleet === this.#identity.fleet) {
        this.#identity = read;
      } else if (!this.#warned) {
        this.#warned = true;
        logger.warn(
          { device: read.device, fleet: read.fleet },
          'this data folder was enrolled as another device; restart the agent to use that identity',
        );
      }
    } catch (cause) {
      logger.warn(
        { reason: asSkerryError(cause).message },
        'the identity file could not be read again; the agent keeps the identity in memory',
      );
    }
  }
}
