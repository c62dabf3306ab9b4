import type { AuditOutcome } from './views.js';

/** What a record of the audit log is made from; its moment is when it is added. */
export interface AuditEntry {
  readonly actor: string;
  readonly tokenId?: string;
  readonly action: string;
  readonly target: string;
  readonly source: string;
  readonly outcome: AuditOutcome;
  readonly code?: string;
  readonly requestId: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}
