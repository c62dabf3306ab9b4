import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { EventKind } from '#shared/protocol/messages.js';

/** What happened; device, time and position are added on the way into the outbox. */
export interface AgentEvent {
  readonly kind: EventKind;
  readonly model?: ModelName;
  readonly version?: VersionNumber;
  readonly error?: { readonly code: string; readonly message: string };
  readonly detail?: Readonly<Record<string, string | number | boolean | null>>;
}

/** Where every room puts what the hub should hear of. Never throws and never blocks: what cannot be stored is counted and said later. */
export interface EventSink {
  emit(event: AgentEvent): void;
}
