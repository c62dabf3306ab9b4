import { counted } from '#shared/kernel/counted.js';
import { z } from 'zod';
import { featureListSchema } from '#shared/bundle/features.js';
import { openObject } from '#shared/kernel/open-object.js';
import { deviceIdSchema, type Capabilities, type DeviceId, type Labels } from '#shared/protocol/device.js';
import { incapableDevice, type Incapable } from '#hub/fleet/decide/incapable.js';
import type { Selector } from '#hub/fleet/decide/selector.js';
import { TIME_ZONE_LABEL, timeZoneOf } from '#hub/fleet/decide/time-zone.js';
import { type Runnable, unsureOpset, whyIncapable } from './capability.js';
import type { Cohort } from '../document-parts.js';
import { isBeside, type RolloutDocument, type WaveDocument } from '../document.js';
import type { Gate } from '../gate.js';
import { isComparison } from '../gate-document.js';
import { sliceCount, sliceOrder, slicePosition } from './slice.js';

/** What the devices of a wave are told to do with the version. */
export const WAVE_ACTIONS = ['serve', 'stage', 'shadow', 'split'] as const;

const planWaveSchema = openObject({
  index: z.int().min(0),
  name: z.string(),
  action: z.enum(WAVE_ACTIONS),
  devices: z.array(deviceIdSchema),
  /** Devices joining later whose position lies below this, and below no earlier wave's, belong to this wave. */
  below: z.number(),
  /** Canonical selector: only devices it matches belong to the wave; empty for all. */
  selector: z.string(),
  bake: z.number(),
  deadline: z.number(),
  evidence: openObject({ predictions: z.number(), devices: z.number().min(0) }),
  /** Narrowed when the document was; a stored one holds durations as numbers. */
  gates: z.array(z.custom<Gate>((gate) => typeof gate === 'object' && gate !== null && 'gate' in gate)),
  approval: z.string().nullable(),
});
export type PlanWave = z.infer<typeof planWaveSchema>;

export const planSchema = openObject({
  seed: z.string(),
  devices: z.int(),
  waves: z.array(planWaveSchema),
  /** Devices of the cohort that cannot run any variant, and why; `lacks` names the features that their agents lack. */
  incapable: z.array(openObject({ device: deviceIdSchema, why: z.string(), lacks: featureListSchema.optional() })),
  warnings: z.array(z.string()),
  /**
   * Why requests that fitted a version that devices run now may not fit the new one. Only then do requests refused for what callers
   * sent count against it: otherwise they would have been refused before as well.
   */
  narrowed: z.string().optional(),
});
export type Plan = z.infer<typeof planSchema>;

/** A device as planning sees it. */
export interface PlanDevice {
  readonly id: DeviceId;
  readonly labels: Labels;
  readonly capabilities: Capabilities;
}

export interface PlanInput {
  readonly document: RolloutDocument;
  /** Fixes who is in which slice. */
  readonly seed: string;
  readonly devices: readonly PlanDevice[];
  readonly runnable: Runnable;
  /** What each device is to run of the model now; asked for where the version runs beside it only. */
  readonly current?: ReadonlyMap<DeviceId, { readonly version: number }>;
  /** Why requests that fitted a version the devices run may not fit the new one. */
  readonly narrowed?: string | undefined;
  /** Reads a cohort; saved ones are looked up. Throws `COHORT_UNKNOWN`. */
  readonly selectorOf: (cohort: Cohort) => Selector;
}

/** Who is told what in which wave. Pure: the same input gives the same plan. */
export function planRollout(input: PlanInput): Plan {
  const { document, seed } = input;
  const cohort = input.selectorOf(document.cohort);
  const members = input.devices.filter((device) => cohort.matches(device.labels));
  const reasons = new Map(members.map((device) => [device.id, whyNot(input, device)]));
  const able = members.filter((device) => reasons.get(device.id) === undefined);
  const order = sliceOrder(
    seed,
    able.map((device) => device.id),
  );
  const labels = new Map(able.map((device) => [device.id, device.labels]));
  const warnings: string[] = [];

  const reserved = reservedCount(document, order.length);
  const free = order.slice(0, order.length - reserved);
  const rest = order.slice(free.length);
  const taken = new Set<DeviceId>();
  const waves: PlanWave[] = document.waves.map((wave) => {
    const selector = wave.cohort === undefined ? undefined : input.selectorOf(wave.cohort);
    const size = sizeOf(wave, order.length);
    const devices = free.slice(0, size).filter((id) => !taken.has(id) && (selector?.matches(labels.get(id) ?? {}) ?? true));
    for (const device of devices) taken.add(device);
    if (devices.length === 0 && order.length > 0)
      warnings.push(`wave ${wave.name === undefined ? describe(wave) : JSON.stringify(wave.name)} has no devices of its own`);
    return {
      ...settings(document, wave),
      name: wave.name ?? describe(wave),
      action: ACTION_OF[document.strategy.kind],
      devices,
      below: size >= free.length ? positionOf(seed, rest[0]) : positionOf(seed, free[size]),
      selector: selector?.toString() ?? '',
    };
  });
  if (rest.length > 0) waves.push(reserveWave(document, rest));
  if (document.strategy.kind === 'blue-green') waves.unshift(stageWave(document, order));
  warnings.push(...zoneWarnings(document, members), ...opsetWarnings(input.runnable, able));
  if (order.length > 0) warnings.push(...controlWarnings(waves, order.length));
  // Said once, not for every wave.
  else
    warnings.push(
      members.length > 0 ? 'no device of the cohort can take part' : 'no device is in the cohort; those that join later are told',
    );
  if (input.narrowed !== undefined)
    warnings.push(`requests that the version before took may be refused, since ${input.narrowed}: refused requests count as failed`);
  return {
    seed,
    devices: order.length,
    waves: waves.map((wave, index) => ({ ...wave, index })),
    incapable: members.flatMap(({ id }) => {
      const why = reasons.get(id);
      return why === undefined ? [] : [incapableDevice(id, why)];
    }),
    warnings,
    ...(input.narrowed !== undefined && { narrowed: input.narrowed }),
  };
}

/** Why a device cannot take part; `undefined` when it can. A version to run beside another needs another. */
export function whyNot(
  { document, runnable, current }: Pick<PlanInput, 'document' | 'runnable' | 'current'>,
  device: PlanDevice,
): Incapable | undefined {
  const incapable = whyIncapable(runnable, device.capabilities);
  if (incapable !== undefined || current === undefined) return incapable;
  const { model, version, strategy } = document;
  const runs = current.get(device.id)?.version;
  if (runs === undefined) return { why: `it runs no version of ${model} for a ${NAMES[strategy.kind]} to run beside` };
  return runs === version ? { why: `it runs version ${version} already: there is nothing to compare it with` } : undefined;
}

const NAMES = { canary: 'canary', 'blue-green': 'blue-green', shadow: 'shadow', ab: 'split' } as const;

const ACTION_OF = { canary: 'serve', 'blue-green': 'serve', shadow: 'shadow', ab: 'split' } as const;

/** The wave a device that joins later belongs to; `undefined` when it is in none. Reserve and staging follow from position too. */
export function waveOfJoiner(
  plan: Pick<Plan, 'seed' | 'waves'>,
  device: Pick<PlanDevice, 'id' | 'labels'>,
  parse: (text: string) => Selector,
): number | undefined {
  const position = slicePosition(plan.seed, device.id);
  const wave = plan.waves.find(
    (candidate) => candidate.action !== 'stage' && position < candidate.below && parse(candidate.selector).matches(device.labels),
  );
  return wave?.index;
}

function sizeOf(wave: WaveDocument, total: number): number {
  if (wave.percent !== undefined) return sliceCount(total, { percent: wave.percent * 100 });
  return wave.count === undefined ? total : sliceCount(total, { count: wave.count });
}

/** Kept back only from a rollout that reaches everyone and compares: elsewhere there is a control anyway, beside the old version on the same devices. Never the only device. */
function reservedCount(document: RolloutDocument, total: number): number {
  const reachesAll = document.waves.some((wave) => wave.cohort === undefined && sizeOf(wave, total) >= total);
  const compares = [document, ...document.waves].some((part) => part.gates?.some(isComparison) === true);
  if (isBeside(document) || !reachesAll || !compares || document.reserve === 0 || total < 2) return 0;
  return Math.min(total - 1, sliceCount(total, { percent: document.reserve * 100 }));
}

/** Where a device stands; the end for none. */
function positionOf(seed: string, device: DeviceId | undefined): number {
  return device === undefined ? 1 : slicePosition(seed, device);
}

function settings(
  document: RolloutDocument,
  wave: Partial<WaveDocument>,
): Pick<PlanWave, 'index' | 'bake' | 'deadline' | 'evidence' | 'gates' | 'approval'> {
  const evidence = { ...document.evidence, ...wave.evidence };
  return {
    index: 0,
    bake: wave.bake ?? document.bake,
    deadline: wave.deadline ?? document.deadline,
    evidence: { predictions: evidence.predictions ?? 0, devices: evidence.devices ?? 1 },
    gates: [...(wave.gates ?? document.gates)],
    approval: wave.approval ?? null,
  };
}

/** The devices kept back follow once everything passed; there is nobody left to compare them with. */
function reserveWave(document: RolloutDocument, devices: DeviceId[]): PlanWave {
  return {
    ...settings(document, {
      bake: 0,
      evidence: { predictions: 0, devices: 1 },
      gates: document.gates.filter((gate) => !isComparison(gate)),
    }),
    name: 'reserve',
    action: ACTION_OF[document.strategy.kind],
    devices,
    below: 1,
    selector: '',
  };
}

/** Blue-green: everyone loads the version first; whoever cannot is found before anybody switches. */
function stageWave(document: RolloutDocument, devices: readonly DeviceId[]): PlanWave {
  const gates = document.gates.filter((gate) => gate.gate === 'install');
  return {
    ...settings(document, { bake: 0, evidence: { predictions: 0, devices: 0 }, gates }),
    name: 'stage',
    action: 'stage',
    devices: [...devices],
    below: 0,
    selector: '',
  };
}

/** Windows in the devices' own time need to know that time: who does not say it, or says what is no time zone, is named. */
function zoneWarnings({ schedule }: RolloutDocument, members: readonly PlanDevice[]): string[] {
  const local = schedule.windows.filter((window) => window.time === 'device');
  if (local.length === 0) return [];
  const zones = members.map(({ id, labels }) => ({ id, ...timeZoneOf(labels) }));
  const wrong = zones.flatMap(({ id, unknown }) => (unknown === undefined ? [] : [`${id} "${unknown}"`]));
  const silent = zones.filter(({ zone, unknown }) => zone === undefined && unknown === undefined).map(({ id }) => id);
  const instead = [...new Set(local.map((window) => window.timeZone))].join(', ');
  return [
    ...(wrong.length > 0 ? [`label ${TIME_ZONE_LABEL} of ${some(wrong)} names no time zone; windows there are in ${instead}`] : []),
    ...(silent.length > 0 ? [`no label ${TIME_ZONE_LABEL} on ${some(silent)}; windows there are in ${instead}`] : []),
  ];
}

/** Devices named in a warning. */
const NAMED = 5;

function some(names: readonly string[]): string {
  return names.slice(0, NAMED).join(', ') + (names.length > NAMED ? `, and ${names.length - NAMED} more` : '');
}

/** Who is told a version whose opset its runtime is not known to know: it goes back to what it ran should it fail to load. */
function opsetWarnings(runnable: Runnable, devices: readonly PlanDevice[]): string[] {
  const unsure = new Map<number, string[]>();
  for (const { id, capabilities } of devices) {
    const opset = unsureOpset(runnable, capabilities);
    if (opset === undefined) continue;
    const names = unsure.get(opset) ?? [];
    names.push(`${id} (${capabilities.runtime.version})`);
    unsure.set(opset, names);
  }
  return [...unsure].map(([opset, names]) => `it is not known whether the runtime knows opset ${opset} on ${some(names)}`);
}

function controlWarnings(waves: readonly PlanWave[], total: number): string[] {
  let told = 0;
  const warnings: string[] = [];
  for (const wave of waves) {
    if (wave.action === 'serve') told += wave.devices.length;
    if (wave.gates.some(isComparison) && told >= total) {
      warnings.push(
        `wave "${wave.name}" leaves no device on the old version: its comparing gates cannot pass and it would pause at its deadline`,
      );
    }
  }
  return warnings;
}

function describe(wave: WaveDocument): string {
  if (wave.percent !== undefined) return `${Number((wave.percent * 100).toPrecision(6))}%`;
  if (wave.count !== undefined) return counted(wave.count, 'device');
  return typeof wave.cohort === 'string' ? wave.cohort : (wave.cohort?.saved ?? 'all');
}
