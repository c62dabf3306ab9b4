import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { InstallState } from '#shared/protocol/messages.js';
import type { EventSink } from '#agent/store/events.js';
import type { StepError } from './decide/install-step.js';

/** The install state of a version as it was stored. */
interface StoredState {
  readonly model: ModelName;
  readonly version: VersionNumber;
  readonly install: InstallState;
  readonly error?: StepError | undefined;
}

/** Reports a stored change of a version's install state to the hub. */
export function emitInstallState(
  events: EventSink,
  { model, version, install, error }: StoredState,
  before: InstallState | undefined,
): void {
  if (install === 'bad' && error !== undefined) events.emit({ kind: 'version.refused', model, version, error });
  else if (install !== before) events.emit({ kind: 'version.state', model, version, detail: { from: before ?? null, to: install } });
}
