import type { Db } from '#hub/store/database.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import type { DesiredIssuer } from './desired-issuer.js';
import { reportedOf } from './device-view.js';
import type { HubPlaces, Move } from './hub-place.js';
import type { Place } from './hub-place-view.js';

/** Waiting devices that are named. */
const NAMED = 100;

/** Moves of the hub: announced in every device's signed desired state, and followed until all have it. */
export class Moves {
  readonly #db: Db;
  readonly #places: HubPlaces;
  readonly #issuer: DesiredIssuer;

  constructor(db: Db, places: HubPlaces, issuer: DesiredIssuer) {
    this.#db = db;
    this.#places = places;
    this.#issuer = issuer;
  }

  async show(): Promise<Place> {
    const place = await this.#places.current();
    const devices = await this.#standing();
    const waiting = devices.filter(({ informed }) => !informed).map(({ id }) => id);
    return {
      api: place?.api ?? null,
      brokers: [...(place?.brokers ?? [])],
      devices: { all: devices.length, informed: devices.length - waiting.length, waiting: waiting.slice(0, NAMED) },
    };
  }

  async announce(move: Move): Promise<Place> {
    await this.#places.announce(move);
    await this.#issuer.renew();
    return this.show();
  }

  async cancel(): Promise<Place> {
    await this.#places.forget();
    await this.#issuer.renew();
    return this.show();
  }

  /** A device knows what the newest statement says once it reports that statement's counter. */
  async #standing(): Promise<readonly { readonly id: DeviceId; readonly informed: boolean }[]> {
    const rows = await this.#db
      .selectFrom('devices')
      .innerJoin('device_states', 'device_states.device', 'devices.id')
      .leftJoin('desired_states', 'desired_states.device', 'devices.id')
      .select(['devices.id', 'device_states.reported', 'desired_states.counter'])
      .where('devices.revoked_at', 'is', null)
      .orderBy('devices.id')
      .execute();
    return rows.map(({ id, reported, counter }) => ({
      id: deviceIdSchema.parse(id),
      informed: counter !== null && (reportedOf({ reported })?.desired.counter ?? 0) >= counter,
    }));
  }
}
