import { z } from 'zod';
import type { Db } from '#hub/store/database.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { openObject } from '#shared/kernel/open-object.js';
import { brokerBehind } from '#shared/protocol/mqtt-path.js';
import type { HubPlace } from '#shared/trust/desired.js';

/** Where the hub moves to, as an operator says it. */
export interface Move {
  /** Base URL of the API at the new place. */
  readonly api?: string | undefined;
  /** Addresses of the broker at the new place. */
  readonly brokers: readonly string[];
}

/** Addresses that the settings of the hub name. */
interface SetAddresses {
  readonly publicUrl?: string | undefined;
  readonly mqttUrl?: string | undefined;
  readonly mqttPublicUrl?: string | undefined;
}

const storedSchema = openObject({ api: z.string().optional(), brokers: z.array(z.string()) });
const KEY = 'place';

/**
 * The addresses of this hub that its signed desired states name: those of the settings, and those of a move that was announced.
 * They lie in the database, so they move along with it.
 */
export class HubPlaces {
  readonly #db: Db;
  readonly #settings: SetAddresses;

  constructor(db: Db, settings: SetAddresses) {
    this.#db = db;
    this.#settings = settings;
  }

  /** What devices are told; `undefined` while they need to know no more than at their enrolment. */
  async current(): Promise<HubPlace | undefined> {
    const move = await this.#move();
    // `mqttUrl` alone is where this hub finds the broker; what devices were told of it at their enrolment still holds.
    const told = this.#settings.mqttPublicUrl;
    const brokers = [...new Set([...(told === undefined ? [] : [told]), ...move.brokers])].slice(0, LIMITS.brokerAddresses);
    const api = move.api ?? this.#settings.publicUrl;
    return brokers.length === 0 ? undefined : { ...(api === undefined ? {} : { api }), brokers };
  }

  /** Keeps where the hub moves to. The broker inside a hub is at the new API as well, over WebSocket. */
  async announce({ api, brokers }: Move): Promise<void> {
    const inside = api === undefined || this.#settings.mqttUrl !== undefined ? [] : [brokerBehind(api)];
    const move = { ...(api === undefined ? {} : { api }), brokers: [...brokers, ...inside] };
    const row = { name: KEY, value: JSON.stringify(move) };
    await this.#db
      .insertInto('hub_notes')
      .values(row)
      .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
      .execute();
  }

  /** The hub does not move, or every device knows by its own settings. */
  async forget(): Promise<void> {
    await this.#db.deleteFrom('hub_notes').where('name', '=', KEY).execute();
  }

  async #move(): Promise<Move> {
    const row = await this.#db.selectFrom('hub_notes').select('value').where('name', '=', KEY).executeTakeFirst();
    if (row === undefined) return { brokers: [] };
    const bytes = new TextEncoder().encode(row.value);
    return parseJson(storedSchema, bytes, { what: 'the place of the hub', maxBytes: LIMITS.controlMessageBytes, code: 'INTERNAL' });
  }
}
