import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { Held, Reported } from '#shared/protocol/messages.js';
import type { PublicKey } from '#shared/trust/keys.js';
import { readSigned } from '#shared/trust/decide/desired-verify.js';
import type { DesiredIssuer } from './desired-issuer.js';
import type { DeviceMarks } from './device-marks.js';

/** What came back, for people: this hub had lost it. */
export interface Recovered {
  readonly device: DeviceId;
  readonly what: string;
}

export interface HeldDeps {
  readonly fleet: string;
  readonly directorKey: PublicKey;
  readonly issuer: Pick<DesiredIssuer, 'adopt' | 'counterOf'>;
  readonly marks: Pick<DeviceMarks, 'set' | 'clear' | 'note'>;
  readonly logger: Logger;
  /** Takes over signed trust metadata that is newer than the hub's own; resolves with what of it was, undefined for nothing. */
  readonly learn: (files: ReadonlyMap<string, Uint8Array>) => Promise<string | undefined>;
  /** Version of the newest published timestamp. */
  readonly timestamp: () => number;
  readonly onRecovered: (recovered: Recovered) => void;
}

/**
 * What devices hold that this hub lost, because its data was put back to a backup. INVARIANT: nothing is taken over for a device's word
 * alone: desired states carry the hub's own signature, metadata that of its owner.
 */
export class HeldByDevices {
  readonly #deps: HeldDeps;

  constructor(deps: HeldDeps) {
    this.#deps = deps;
  }

  /** A device shows what it holds. */
  async shown(device: DeviceId, held: Held): Promise<void> {
    const { logger } = this.#deps;
    try {
      if (held.desired !== undefined) await this.#desired(device, Buffer.from(held.desired, 'base64'));
      if (held.trust !== undefined) await this.#trust(device, held.trust);
    } catch (cause) {
      const { code, message } = asSkerryError(cause);
      logger.warn({ device, code, cause: message }, 'the newer state from a device could not be restored');
    }
  }

  /** A device says how far it is: further than this hub is marked, until both agree. */
  async reported(device: DeviceId, { desired, trust }: Pick<Reported, 'desired' | 'trust'>): Promise<void> {
    const { issuer, marks, timestamp } = this.#deps;
    const counter = await issuer.counterOf(device);
    const ahead = [
      ...(desired.counter > counter ? [`statement ${desired.counter}, the newest of this hub is ${counter}`] : []),
      ...(trust.timestamp > timestamp() ? [`trust metadata with timestamp ${trust.timestamp}, that of this hub is ${timestamp()}`] : []),
    ];
    if (ahead.length === 0) return marks.clear(device, 'ahead', 'hub and device agree again');
    return marks.set(
      device,
      'ahead',
      `it holds ${ahead.join(' and ')}: the hub was put back to a backup. What devices and publishers can prove is taken over by itself; ` +
        'where this stays, run "skerry trust recover" in the publisher folder (docs/OPERATIONS.md, "A hub restored from a backup")',
    );
  }

  async #desired(device: DeviceId, envelope: Uint8Array): Promise<void> {
    const { fleet, directorKey, issuer, marks } = this.#deps;
    const signed = readSigned(envelope, { fleet, device, directorKeys: [directorKey] });
    if (!(await issuer.adopt(device, { ...signed, envelope }))) return;
    await this.#told(
      device,
      `statement ${signed.desired.counter}, signed ${signed.desired.issuedAt}, with ${signed.desired.models.length} models`,
    );
    await marks.clear(device, 'ahead', 'hub and device agree again');
  }

  async #trust(device: DeviceId, files: NonNullable<Held['trust']>): Promise<void> {
    const what = await this.#deps.learn(new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text, 'base64')])));
    if (what !== undefined) await this.#told(device, what);
  }

  async #told(device: DeviceId, what: string): Promise<void> {
    const { marks, logger, onRecovered } = this.#deps;
    logger.warn({ device, what }, 'the hub restored a lost signed state from a device');
    await marks.note(device, 'hub.recovered', what);
    onRecovered({ device, what });
  }
}
