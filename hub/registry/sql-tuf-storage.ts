import type { Db } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { TufStorage } from './tuf/storage.js';

/** Keeps TUF metadata files in the hub's database, so that they are as durable and as backed up as the rest. */
export class SqlTufStorage implements TufStorage {
  readonly #db: Db;
  readonly #clock: Clock;

  constructor(db: Db, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async get(file: string): Promise<Uint8Array | undefined> {
    const row = await this.#db.selectFrom('trust_files').select('content').where('name', '=', file).executeTakeFirst();
    return row?.content;
  }

  async put(file: string, bytes: Uint8Array): Promise<void> {
    const values = { content: Buffer.from(bytes), stored_at: this.#clock.now() };
    await this.#db
      .insertInto('trust_files')
      .values({ name: file, ...values })
      .onConflict((conflict) => conflict.column('name').doUpdateSet(values))
      .execute();
  }

  async keepOnly(files: ReadonlySet<string>): Promise<void> {
    const stored = await this.#db.selectFrom('trust_files').select('name').execute();
    for (const { name } of stored) if (!files.has(name)) await this.#db.deleteFrom('trust_files').where('name', '=', name).execute();
  }
}
