import { parseSelector } from '#hub/fleet/decide/selector.js';
import type { Standing } from '#hub/fleet/standing.js';
import type { Observation } from '#hub/rollouts/decide/devices.js';
import type { Evidence, EvidenceQuery, EvidenceSource } from '#hub/rollouts/evidence-source.js';
import type { GateFigures } from '#hub/rollouts/figures.js';
import { gateName } from '#hub/rollouts/gate-document.js';
import type { PlanDevice } from '#hub/rollouts/decide/plan.js';
import type { TrialOutcome } from '#hub/rollouts/decide/trial-outcome.js';
import type {
  AlertSink,
  Change,
  CohortsPort,
  FleetPort,
  TrialOutcomeQuery,
  TrialOutcomeSource,
  RegistryPort,
  RolloutAlert,
  Wish,
} from '#hub/rollouts/ports.js';
import { type Digest, digestSchema, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { type Capabilities, type DeviceId, deviceIdSchema, type Labels } from '#shared/protocol/device.js';

interface Target {
  readonly version: VersionNumber;
  readonly manifest: Digest;
}

interface KitDevice extends PlanDevice {
  labels: Labels;
  wish: Wish | undefined;
  /** The wish its newest report knows of. */
  accepted: Wish | undefined;
  readonly told: Wish[];
  serving: Target | undefined;
  heardAt: number | null;
  silent: boolean;
  failing: boolean;
  /** It says that its agent lacks something that the version needs. */
  unsupported: boolean;
  capabilities: Capabilities;
  /** What it says when it fails. */
  error: { readonly code: string; readonly message: string };
}

export function versionOf(version: number): Target {
  return { version: versionNumberSchema.parse(version), manifest: digestSchema.parse(version.toString(16).padStart(64, '0')) };
}

/** A fleet of devices stepped by hand: they get what is issued to them, and report when told to. */
export class KitFleet implements FleetPort, RegistryPort, CohortsPort, AlertSink {
  readonly devices = new Map<DeviceId, KitDevice>();
  /** Devices that no longer belong to the fleet. */
  readonly removed = new Set<DeviceId>();
  readonly alerts: RolloutAlert[] = [];
  readonly saves = new Map<string, string>();
  /** Features that every version requires. */
  requires: string[] = [];
  readonly #stored = new Map<DeviceId, Wish>();
  /** What completed rollouts left, newest last. */
  standing: Standing[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock, count: number, labels: (index: number) => Labels = () => ({}), serving = 1) {
    this.#clock = clock;
    for (let i = 0; i < count; i++) this.add(`device-${i}`, labels(i), serving);
  }

  add(id: string, labels: Labels = {}, serving = 1): void {
    const device = deviceIdSchema.parse(id);
    this.devices.set(device, {
      id: device,
      labels,
      capabilities: {
        os: 'linux',
        arch: 'x64',
        cpus: 4,
        memoryBytes: 4e9,
        providers: ['cpu'],
        runtime: { name: 'onnxruntime', version: '1.30.0' },
      },
      wish: undefined,
      accepted: undefined,
      told: [],
      serving: versionOf(serving),
      heardAt: this.#clock.now(),
      silent: false,
      failing: false,
      unsupported: false,
      error: { code: 'GOLDEN_MISMATCH', message: 'the golden samples gave other answers' },
    });
    const [standing] = this.standing.filter((left) => reaches(left, labels)).toReversed();
    if (standing === undefined) return;
    this.store([wishOf(standing, device)]);
    void this.issue([device]);
  }

  /** Within the store's commit: what a rollout leaves behind, or takes back. */
  stand(rollout: string | undefined, change: NonNullable<Change['standing']>): readonly DeviceId[] {
    this.standing = this.standing.filter((left) => left.rollout !== ('leave' in change ? change.leave.rollout : rollout));
    if (!('leave' in change)) return [];
    const { leave } = change;
    this.standing.push(leave);
    const untold = [...this.devices.values()].filter(
      (device) =>
        !this.removed.has(device.id) &&
        reaches(leave, device.labels) &&
        !leave.excluded.includes(device.id) &&
        leave.canRun(device.capabilities) &&
        this.#stored.get(device.id)?.source !== `rollout:${leave.rollout}`,
    );
    this.store(untold.map(({ id }) => wishOf(leave, id)));
    return untold.map(({ id }) => id);
  }

  held(rollout: string): Promise<ReadonlyMap<DeviceId, null>> {
    const own = [...this.#stored.values()].filter((wish) => wish.source === `rollout:${rollout}`);
    return Promise.resolve(new Map(own.map(({ device }) => [device, null])));
  }

  get(id: string): KitDevice {
    const device = this.devices.get(deviceIdSchema.parse(id));
    if (device === undefined) throw new SkerryError('INTERNAL', `the kit has no ${id}`);
    return device;
  }

  /** What is stored for a device, issued or not. */
  wishFor(id: DeviceId): Wish | undefined {
    return this.#stored.get(id);
  }

  /** Within the store's commit. */
  store(wishes: readonly Wish[]): void {
    for (const wish of wishes) this.#stored.set(wish.device, wish);
  }

  /** Devices that are not silent do what they were told last, or fail to, and report. */
  react(): void {
    for (const device of this.devices.values()) {
      if (device.silent) continue;
      device.heardAt = this.#clock.now();
      device.accepted = device.wish;
      if (device.wish !== undefined && !device.failing && !device.unsupported) device.serving = device.wish.target ?? undefined;
    }
  }

  members(): Promise<readonly PlanDevice[]> {
    return Promise.resolve([...this.devices.values()].filter(({ id }) => !this.removed.has(id)));
  }

  current(): Promise<ReadonlyMap<DeviceId, Target>> {
    const entries = [...this.devices.values()].map((device) => [device.id, this.#stored.get(device.id)?.target ?? device.serving] as const);
    return Promise.resolve(new Map(entries.flatMap(([id, target]) => (target === undefined ? [] : [[id, target]]))));
  }

  labelsOf(devices: readonly DeviceId[]): Promise<ReadonlyMap<DeviceId, Labels>> {
    const members = devices.flatMap((id) => (this.removed.has(id) ? [] : [[id, this.get(id).labels] as const]));
    return Promise.resolve(new Map(members));
  }

  observe(wishes: readonly Pick<Wish, 'device' | 'target' | 'action'>[]): Promise<ReadonlyMap<DeviceId, Observation>> {
    return Promise.resolve(
      new Map(
        wishes.map((wish): readonly [DeviceId, Observation] => {
          const { device: id, target } = wish;
          const device = this.get(id);
          if (this.removed.has(id)) return [id, { outcome: 'gone', heardAt: null }];
          const knows = device.accepted !== undefined && isSame(device.accepted, wish);
          const reached = knows && device.serving?.version === target?.version;
          const failed = knows && device.failing && !reached;
          const outcome = reached ? ('reached' as const) : failed ? ('failed' as const) : ('pending' as const);
          const { error } = device;
          if (knows && device.unsupported && !reached) return [id, { outcome: 'unsupported', heardAt: device.heardAt, error }];
          return [id, { outcome, heardAt: device.heardAt, ...(failed ? { error } : {}) }];
        }),
      ),
    );
  }

  /** Devices already told this are not told again, as with signed statements of equal content. */
  issue(devices: readonly DeviceId[]): Promise<void> {
    for (const id of devices) {
      const device = this.get(id);
      const wish = this.#stored.get(id);
      if (wish === undefined || (device.wish !== undefined && isSame(device.wish, wish) && device.wish.attempt === wish.attempt)) continue;
      device.wish = wish;
      device.told.push(wish);
    }
    return Promise.resolve();
  }

  version(_model: string, version: VersionNumber): ReturnType<RegistryPort['version']> {
    const requires = { providers: ['cpu'] };
    return Promise.resolve({
      manifest: versionOf(version).manifest,
      runnable: { requires: this.requires, variants: [{ name: 'fp32', opset: 17, requires }] },
    });
  }

  saved(name: string): Promise<string> {
    const text = this.saves.get(name);
    return text === undefined ? Promise.reject(new SkerryError('COHORT_UNKNOWN', `no cohort ${name}`)) : Promise.resolve(text);
  }

  notify(alert: RolloutAlert): void {
    this.alerts.push(alert);
  }
}

/** True when both ask the same of a device, whatever the attempt. */
function isSame(a: Pick<Wish, 'target' | 'action'>, b: Pick<Wish, 'target' | 'action'>): boolean {
  return a.target?.version === b.target?.version && a.action === b.action;
}

function reaches(standing: Standing, labels: Labels): boolean {
  return standing.selectors.some((selector) => parseSelector(selector).matches(labels));
}

function wishOf({ rollout, model, version, manifest, attempt, at }: Standing, device: DeviceId): Wish {
  const target = { version, manifest };
  const beside = { action: 'serve', share: 1, sticky: 'key', wave: 0, guard: {} } as const;
  return { device, model, target, attempt, ...beside, source: `rollout:${rollout}`, decidedAt: at };
}

/** Figures set by hand. */
export class KitEvidence implements EvidenceSource, TrialOutcomeSource {
  /** Canary events per 10,000 exposure, against 100 of 100,000 of the control; undefined: nothing reported. */
  canary: number | undefined = 10;
  /** Throws instead, as a broken database would. */
  broken = false;

  figures(query: EvidenceQuery): Promise<Evidence> {
    if (this.broken) return Promise.reject(new SkerryError('INTERNAL', 'the figures cannot be read'));
    const devices = query.canary().length;
    return Promise.resolve({
      evidence: { predictions: this.canary === undefined ? 0 : devices * 10_000, devices: this.canary === undefined ? 0 : devices },
      gates: query.gates.map((gate) => this.#gate(gateName(gate), devices)),
    });
  }

  outcome({ from, to }: TrialOutcomeQuery): Promise<TrialOutcome> {
    const side = { versions: [], devices: 0, predictions: 0, failed: 0, latency: null, feedback: null, metrics: {} };
    return Promise.resolve({ from, to, new: side, old: side, ratios: [], shadow: null });
  }

  #gate(gate: string, devices: number): GateFigures {
    if (this.canary === undefined || devices === 0) return { gate, kind: 'missing', why: 'nothing was reported' };
    const strata = Array.from({ length: 4 }, () => ({
      canaryEvents: this.canary ?? 0,
      canaryExposure: 10_000,
      controlEvents: 100,
      controlExposure: 100_000,
    }));
    const events = 4 * this.canary;
    return {
      gate,
      kind: 'comparison',
      tolerated: { strata },
      ruledOut: { strata },
      dispersion: 1,
      canaryDevices: devices,
      controlDevices: 50,
      events,
      exposure: 40_000,
    };
  }
}
