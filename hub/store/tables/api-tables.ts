import type { Generated } from 'kysely';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { Role } from '#hub/kernel/roles.js';

export interface ApiTokensTable {
  id: string;
  name: string;
  role: Role;
  /** Only the hash of the secret is kept, hex. */
  secret_sha256: string;
  created_at: EpochMillis;
  /** Token id of the creator, or `hub` for the first one. */
  created_by: string;
  expires_at: EpochMillis | null;
  revoked_at: EpochMillis | null;
}

interface AuditTable {
  id: Generated<number>;
  at: EpochMillis;
  /** Name of the token, `device:<id>`, `hub`, or `anonymous`. */
  actor: string;
  token_id: string | null;
  /** Capability or act, e.g. `model:publish`. */
  action: string;
  /** What it was done to, e.g. `models/vad/versions/3`. */
  target: string;
  /** Network address it came from. */
  source: string;
  outcome: 'ok' | 'refused' | 'failed';
  /** Error code, when it was not `ok`. */
  code: string | null;
  request_id: string;
  /** JSON. */
  detail: string | null;
}

export interface ApiTables {
  api_tokens: ApiTokensTable;
  audit: AuditTable;
}
