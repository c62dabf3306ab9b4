import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Db } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Role } from '#hub/kernel/roles.js';
import type { TokenCaller } from './route.js';
import type { ApiTokensTable } from '#hub/store/tables/api-tables.js';
import type { ApiToken, CreatedToken } from './views.js';

/** Makes a token recognisable, to people and to secret scanners. */
const TOKEN_PREFIX = 'skerry_';
const SECRET = /^skerry_[A-Za-z0-9_-]{43}$/;

interface NewToken {
  readonly name: string;
  readonly role: Role;
  readonly expiresAt?: EpochMillis;
  /** Token id of the creator, or `hub`. */
  readonly createdBy: string;
}

/** The tokens of people and programs. A secret has 256 random bits, is said once, and only its SHA-256 is kept. */
export class ApiTokens {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #onRevoked = new Set<(id: string) => void>();

  constructor(db: Db, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** `announce` is told the secret before the token works, for a first token that must not get lost in between. */
  async create(wanted: NewToken, announce: (token: string) => Promise<void> = () => Promise.resolve()): Promise<CreatedToken> {
    const token = `${TOKEN_PREFIX}${randomBytes(32).toString('base64url')}`;
    await announce(token);
    const row: ApiTokensTable = {
      id: randomBytes(6).toString('hex'),
      name: wanted.name,
      role: wanted.role,
      secret_sha256: sha256(token),
      created_at: this.#clock.now(),
      created_by: wanted.createdBy,
      expires_at: wanted.expiresAt ?? null,
      revoked_at: null,
    };
    await this.#db.insertInto('api_tokens').values(row).execute();
    return { ...shown(row), token };
  }

  async list(): Promise<ApiToken[]> {
    const rows = await this.#db.selectFrom('api_tokens').selectAll().orderBy('created_at').orderBy('id').execute();
    return rows.map(shown);
  }

  async revoke(id: string): Promise<ApiToken> {
    const row = await this.#db
      .updateTable('api_tokens')
      .set((eb) => ({ revoked_at: eb.fn.coalesce('revoked_at', eb.val(this.#clock.now())) }))
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) throw new SkerryError('TOKEN_UNKNOWN', `there is no token with the id ${id}`);
    for (const listener of this.#onRevoked) listener(id);
    return shown(row);
  }

  /** Drops tokens that were revoked or expired before `at`; returns how many. */
  async purge(at: EpochMillis): Promise<number> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('api_tokens')
      .where((eb) => eb.or([eb('revoked_at', '<', at), eb('expires_at', '<', at)]))
      .executeTakeFirst();
    return Number(numDeletedRows);
  }

  /** Calls the listener with the id of each token that is revoked from now on. */
  onRevoked(listener: (id: string) => void): void {
    this.#onRevoked.add(listener);
  }

  /** Which of these token ids still work, neither revoked nor expired. */
  async stillValid(ids: readonly string[]): Promise<ReadonlySet<string>> {
    if (ids.length === 0) return new Set();
    const rows = await this.#db
      .selectFrom('api_tokens')
      .select('id')
      .where('id', 'in', ids)
      .where('revoked_at', 'is', null)
      .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', this.#clock.now())]))
      .execute();
    return new Set(rows.map(({ id }) => id));
  }

  /** Who holds this token; `undefined` for one that is unknown, revoked or expired. */
  async verify(token: string): Promise<TokenCaller | undefined> {
    if (!SECRET.test(token)) return undefined;
    const digest = sha256(token);
    const row = await this.#db.selectFrom('api_tokens').selectAll().where('secret_sha256', '=', digest).executeTakeFirst();
    if (row === undefined || !timingSafeEqual(Buffer.from(row.secret_sha256), Buffer.from(digest))) return undefined;
    if (row.revoked_at !== null || (row.expires_at !== null && row.expires_at <= this.#clock.now())) return undefined;
    return { kind: 'token', id: row.id, name: row.name, role: row.role, expiresAt: row.expires_at };
  }

  /** True while some token that works may do everything; without one nobody could make another. */
  async hasAdmin(): Promise<boolean> {
    const row = await this.#db
      .selectFrom('api_tokens')
      .select('id')
      .where('role', '=', 'admin')
      .where('revoked_at', 'is', null)
      .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', this.#clock.now())]))
      .executeTakeFirst();
    return row !== undefined;
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function shown(row: ApiTokensTable): ApiToken {
  const iso = (at: EpochMillis | null): string | null => (at === null ? null : new Date(at).toISOString());
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    createdAt: new Date(row.created_at).toISOString(),
    createdBy: row.created_by,
    expiresAt: iso(row.expires_at),
    revokedAt: iso(row.revoked_at),
  };
}
