import { createHash } from 'node:crypto';
import { kindRow } from '#shared/bundle/kinds.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import type { EpochMillis, Millis } from '#shared/kernel/time.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { parseJson } from '#shared/kernel/json.js';
import { type DesiredCandidate, type DesiredRollout, candidateSchema, rolloutRefSchema } from '#shared/protocol/desired-rollout.js';
import { CLOCK_SKEW_TOLERANCE } from '#shared/trust/decide/trusted-time.js';
import { DESIRED_SCHEMA, type DesiredModel, type DesiredState, type HubPlace } from '#shared/trust/desired.js';
import type { DesiredModelsTable, DesiredStatesTable } from '#hub/store/tables/fleet-tables.js';

/** When a statement has to be made anew. */
export interface IssuePolicy {
  /** How long a statement is valid. */
  readonly validity: Millis;
  /** How long before it expires it is made again. */
  readonly renewBefore: Millis;
}

/** What of a row goes into a statement. */
type DesiredRow = Omit<DesiredModelsTable, 'candidate' | 'rollout'> & Partial<Pick<DesiredModelsTable, 'candidate' | 'rollout'>>;

/** The models part of a statement, in one order, so that equal wishes give equal bytes. */
export function desiredModels(rows: readonly DesiredRow[]): DesiredModel[] {
  return rows
    .toSorted((a, b) => (a.model < b.model ? -1 : 1))
    .map((row) => ({
      model: modelNameSchema.parse(row.model),
      version: versionNumberSchema.parse(row.version),
      manifest: digestSchema.parse(row.manifest_digest),
      attempt: row.attempt,
      ...requirementsOf(row.model),
      ...beside(row),
    }));
}

function requirementsOf(model: string): Pick<DesiredModel, 'requires'> {
  const { entryRequires } = kindRow(model);
  return entryRequires.length === 0 ? {} : { requires: [...entryRequires] };
}

/** The version beside it and the rollout it belongs to, as stored. */
export function beside(row: Pick<DesiredRow, 'candidate' | 'rollout'>): { candidate?: DesiredCandidate; rollout?: DesiredRollout } {
  const options = { what: 'a stored wish', maxBytes: LIMITS.controlMessageBytes, code: 'INTERNAL' as const };
  const encoder = new TextEncoder();
  return {
    ...(row.candidate === undefined || row.candidate === null
      ? {}
      : { candidate: parseJson(candidateSchema, encoder.encode(row.candidate), options) }),
    ...(row.rollout === undefined || row.rollout === null
      ? {}
      : { rollout: parseJson(rolloutRefSchema, encoder.encode(row.rollout), options) }),
  };
}

/** SHA-256 over what a statement says, without counter and dates. */
export function contentHash(models: readonly DesiredModel[], hub?: HubPlace): string {
  const content = models.map(({ model, version, manifest, attempt, requires, candidate, rollout }) => {
    const entry = [model, version, manifest, attempt, ...(requires === undefined ? [] : [requires])];
    // Without them the content is what it always was: statements made before rollouts are not made again.
    return candidate === undefined && rollout === undefined ? entry : [...entry, candidate ?? null, rollout ?? null];
  });
  // As above: without a place it is what it always was.
  return createHash('sha256')
    .update(JSON.stringify(hub === undefined ? content : [content, hub.api ?? null, hub.brokers]))
    .digest('hex');
}

/**
 * True when a new statement is due: none yet, other content, another key, or the old one expires soon. A device never told
 * anything is not told "nothing", unless it has to know where the hub is and holds nothing that it would lose by that.
 */
export function isDue(
  issued: Pick<DesiredStatesTable, 'content_sha256' | 'expires_at' | 'key_id' | 'issued_at'> | undefined,
  models: readonly DesiredModel[],
  at: { readonly now: EpochMillis; readonly keyId: string; readonly hub?: HubPlace | undefined; readonly holdsNothing?: boolean },
  policy: IssuePolicy,
): boolean {
  if (issued === undefined) return models.length > 0 || (at.hub !== undefined && at.holdsNothing === true);
  if (issued.key_id !== at.keyId || issued.expires_at - policy.renewBefore <= at.now) return true;
  // Dated ahead, when the clock of the hub was wrong: devices whose clocks are right do not take it.
  if (issued.issued_at > at.now + CLOCK_SKEW_TOLERANCE) return true;
  return issued.content_sha256 !== contentHash(models, at.hub);
}

/** The statement that follows `counter`. */
export function nextStatement(
  target: { readonly fleet: DesiredState['fleet']; readonly device: DesiredState['device']; readonly counter: number },
  models: DesiredModel[],
  now: EpochMillis,
  policy: IssuePolicy,
  hub?: HubPlace,
): DesiredState {
  return {
    schema: DESIRED_SCHEMA,
    fleet: target.fleet,
    device: target.device,
    counter: target.counter + 1,
    issuedAt: new Date(now).toISOString(),
    expires: new Date(now + policy.validity).toISOString(),
    models,
    ...(hub === undefined ? {} : { hub }),
  };
}
