import { parseSelector, type Selector } from '#hub/fleet/decide/selector.js';
import type { Digest } from '#shared/bundle/names.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { hasCode, SkerryError } from '#shared/kernel/errors.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { narrowing, type Signature } from '#shared/tensor/narrowing.js';
import { isBeside, type RolloutDocument } from './document.js';
import type { Cohort } from './document-parts.js';
import { type Plan, type PlanDevice, type PlanInput, planRollout } from './decide/plan.js';
import type { CohortsPort, FleetPort, RegistryPort } from './ports.js';
import type { RolloutDevice, RolloutRecord } from './record.js';

export interface PlanDeps {
  readonly fleet: Pick<FleetPort, 'members' | 'current'>;
  readonly registry: RegistryPort;
  readonly cohorts: CohortsPort;
}

interface Prepared {
  readonly plan: Plan;
  readonly manifest: Digest;
  readonly members: readonly PlanDevice[];
  readonly cohort: Selector;
}

/**
 * What fixes who is in which slice: the rollout's name, or else model and version, so that a plan shows the very devices that a rollout
 * created from it tells, and every version begins with others.
 */
function seedOf({ name, model, version }: RolloutDocument): string {
  return name ?? `${model}@${version}`;
}

/** Works out who would be told what, without doing it. Throws for an unknown version or saved cohort. */
export async function prepare(document: RolloutDocument, deps: PlanDeps): Promise<Prepared> {
  const { manifest, runnable, signature } = await deps.registry.version(document.model, document.version);
  const names = [document.cohort, ...document.waves.map((wave) => wave.cohort)].flatMap((cohort) =>
    typeof cohort === 'object' ? [cohort.saved] : [],
  );
  const saved = new Map<string, string>();
  for (const name of new Set(names)) saved.set(name, await deps.cohorts.saved(name));
  const selectorOf = (cohort: Cohort): Selector => parseSelector(typeof cohort === 'string' ? cohort : (saved.get(cohort.saved) ?? ''));
  const devices = await deps.fleet.members();
  const cohort = selectorOf(document.cohort);
  const members = devices.filter((device) => cohort.matches(device.labels));
  const plan = planRollout({
    document,
    seed: seedOf(document),
    devices,
    runnable,
    selectorOf,
    narrowed: await narrowedFor(document, members, signature, deps),
    ...(await currentOf(document, members, deps)),
  });
  return { plan, manifest, cohort, members };
}

/** Whether requests that fitted a version that devices run may not fit the new one, and why; versions that are gone say nothing. */
async function narrowedFor(
  { model, version }: RolloutDocument,
  devices: readonly PlanDevice[],
  after: Signature | undefined,
  { fleet, registry }: Pick<PlanDeps, 'fleet' | 'registry'>,
): Promise<string | undefined> {
  if (after === undefined) return undefined;
  const current = await fleet.current(
    model,
    devices.map((device) => device.id),
  );
  const before = [...new Set([...current.values()].map((target) => target.version))].filter((one) => one !== version);
  for (const one of before.toSorted((a, b) => a - b)) {
    const known = await registry.version(model, one).catch((cause: unknown) => {
      if (hasCode(cause, 'VERSION_UNKNOWN')) return undefined;
      throw cause;
    });
    const why = known?.signature && narrowing(known.signature, after);
    if (why !== undefined) return `${why} (against version ${one})`;
  }
  return undefined;
}

/** What the devices run of the model now, where that decides who can take part. */
export async function currentOf(
  document: RolloutDocument,
  devices: readonly PlanDevice[],
  { fleet }: Pick<PlanDeps, 'fleet'>,
): Promise<Pick<PlanInput, 'current'>> {
  if (!isBeside(document)) return {};
  const ids = devices.map((device) => device.id);
  return { current: await fleet.current(document.model, ids) };
}

interface NewRollout {
  readonly id: string;
  readonly document: RolloutDocument;
  readonly prepared: Prepared;
  readonly draft: boolean;
  readonly createdBy: string;
  readonly at: EpochMillis;
}

/** The record and devices of a new rollout; throws `ROLLOUT_EMPTY` when nobody could be told. */
export function newRollout(input: NewRollout): { record: RolloutRecord; devices: RolloutDevice[] } {
  const { plan, manifest, members } = input.prepared;
  if (plan.waves.every((wave) => wave.devices.length === 0)) {
    throw new SkerryError('ROLLOUT_EMPTY', `no device of the cohort can run version ${input.document.version} of ${input.document.model}`, {
      details: { incapable: plan.incapable.slice(0, 64) },
    });
  }
  const record: RolloutRecord = {
    id: input.id,
    document: input.document,
    manifest,
    plan,
    state: input.draft ? 'draft' : 'scheduled',
    wave: 0,
    decisions: 0,
    since: input.at,
    waveFrom: null,
    begun: [],
    deadlineFrom: null,
    resumeTo: null,
    rollback: null,
    approved: [],
    // Above every attempt of an earlier rollout, so that a device that marked the version bad then tries it again now.
    attempt: Math.floor(input.at / 1_000),
    createdAt: input.at,
    createdBy: input.createdBy,
  };
  return { record, devices: rowsOf(plan, members) };
}

/** One row for each device: in its first wave, or as a holdout when it is in none. Devices that cannot run it have no row. */
function rowsOf(plan: Plan, members: readonly PlanDevice[]): RolloutDevice[] {
  const rows = new Map<DeviceId, RolloutDevice>();
  for (const wave of plan.waves) {
    for (const device of wave.devices) if (!rows.has(device)) rows.set(device, newRow(device, wave.index));
  }
  const incapable = new Set(plan.incapable.map(({ device }) => device));
  for (const { id } of members) if (!rows.has(id) && !incapable.has(id)) rows.set(id, newRow(id, null));
  return [...rows.values()];
}

export function newRow(device: DeviceId, wave: number | null): RolloutDevice {
  return { device, wave, status: wave === null ? 'holdout' : 'waiting', toldAt: null, previous: null, error: null, released: null };
}
