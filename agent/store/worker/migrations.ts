/** Each entry takes the database from schema version `index` to `index + 1`; entries are never changed once released. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE versions (
    model TEXT NOT NULL,
    version INTEGER NOT NULL,
    manifest TEXT NOT NULL,
    install TEXT NOT NULL,
    boots INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    error_code TEXT,
    error_message TEXT,
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (model, version)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE serving (
    model TEXT PRIMARY KEY,
    serving INTEGER NOT NULL,
    last_known_good INTEGER
  ) STRICT, WITHOUT ROWID;

  -- AUTOINCREMENT: a sequence number is never given twice, also after the newest record is deleted.
  CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    boot INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('event', 'telemetry')),
    payload BLOB NOT NULL,
    -- 1 once the record was handed out for sending: the hub may have counted it.
    offered INTEGER NOT NULL DEFAULT 0,
    window_from INTEGER,
    window_to INTEGER
  ) STRICT;
  `,
];
