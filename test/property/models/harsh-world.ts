import * as fc from 'fast-check';
import { SkerryError } from '#shared/kernel/errors.js';
import { CANDIDATE_ACTIONS } from '#shared/protocol/desired-rollout.js';
import { HarshDevice, type Nature, publishAll } from '../../kit/harsh-device.js';
import { FakeHub, type FakeVersion } from '../../kit/model-fakes.js';

export const MODELS = ['a', 'b'] as const;
const VERSIONS = 4;
const hub = new FakeHub();
const published = publishAll(hub, MODELS, VERSIONS);

const number = fc.integer({ min: 1, max: VERSIONS });
const attempt = fc.constantFrom(0, 0, 1);
const model = fc.constantFrom('a' as const, 'a' as const, 'b' as const);
const times = fc.integer({ min: 1, max: 3 });
export const SOUND: Nature = { kind: 'sound' };
const nature: fc.Arbitrary<Nature> = fc.oneof(
  { weight: 5, arbitrary: fc.constant(SOUND) },
  { weight: 1, arbitrary: fc.constant<Nature>({ kind: 'broken' }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('crashes' as const, 'slow' as const, 'dies' as const),
      times: fc.oneof(times, fc.constant(1_000_000)),
    }),
  },
);

const happening = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('want' as const),
      model,
      version: number,
      attempt,
      candidate: fc.option(fc.record({ version: number, attempt, action: fc.constantFrom(...CANDIDATE_ACTIONS) }), { freq: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unwant' as const), model }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('lose' as const), which: fc.nat(11), damaged: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('stop' as const), model, version: number }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('kill' as const), writes: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('disk' as const), full: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('network' as const), gone: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('memory' as const), short: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn' as const), model, version: number, nature }) },
);
/** Longer than the longest wait before a retry, several times. */
const LONG = 400_000;
const MAX_LATE_STEPS = 100;
const MAX_LATE_CRASHES = 2;
/** A device's versions as they are, and what happens to it, one after the other; with how long nothing happens then. */
export const script = fc.record({
  natures: fc.record({
    a: fc.array(nature, { minLength: VERSIONS, maxLength: VERSIONS }),
    b: fc.array(nature, { minLength: VERSIONS, maxLength: VERSIONS }),
  }),
  minimum: fc.constantFrom(1, 1, 2),
  budgetBytes: fc.constantFrom(1_000_000, 1_000_000, 13_000),
  happenings: fc.array(fc.record({ happening, pause: fc.constantFrom(0, 0, 1_500, 70_000, LONG) }), { minLength: 1, maxLength: 14 }),
});
export type Script = typeof script extends fc.Arbitrary<infer T> ? T : never;
type Happening = Script['happenings'][number]['happening'];

const versionOf = (name: string, version: number): FakeVersion => {
  const found = published.get(`${name}@${version}`);
  if (found === undefined) throw new Error('not published');
  return found;
};

/** What the hub wants, model by model. */
type Wants = Map<string, Extract<Happening, { kind: 'want' }>>;

async function happen(device: HarshDevice, wants: Wants, what: Happening): Promise<void> {
  switch (what.kind) {
    case 'want':
    case 'unwant': {
      if (what.kind === 'want') wants.set(what.model, what);
      else wants.delete(what.model);
      device.desired.want(
        ...[...wants.values()].map((want) => ({
          ...versionOf(want.model, want.version),
          attempt: want.attempt,
          ...(want.candidate && {
            candidate: {
              ...want.candidate,
              version: versionOf(want.model, want.candidate.version).version,
              manifest: versionOf(want.model, want.candidate.version).manifest,
              share: want.candidate.action === 'stage' ? 0 : 0.5,
              sticky: 'key' as const,
              salt: 'rollout',
            },
          }),
        })),
      );
      return;
    }
    case 'lose': {
      const digests = [...device.disk.files.keys()];
      const digest = digests[what.which % Math.max(1, digests.length)];
      if (digest !== undefined && what.damaged) device.disk.files.set(digest, Buffer.from('damaged'));
      else if (digest !== undefined) device.disk.files.delete(digest);
      return;
    }
    case 'stop':
      device.fail(versionOf(what.model, what.version));
      return;
    case 'kill':
      device.killAfterWrites = what.writes;
      return;
    case 'restart':
      await device.restart();
      return;
    case 'disk':
      device.disk.full = what.full;
      return;
    case 'network':
      networkGone(what.gone);
      return;
    case 'turn':
      device.turn(versionOf(what.model, what.version), what.nature);
      return;
    case 'memory':
    default:
      device.memoryIsShort = what.short;
  }
}

function networkGone(gone: boolean): void {
  hub.refreshError = gone ? new SkerryError('TIMEOUT', 'the hub did not answer') : undefined;
  hub.fetchError = hub.refreshError;
}

/**
 * Models that give no answer although a good version that would is on the disk (R2); with everything calm for long also where
 * what served took the process down often, or was still on trial.
 */
function silent(device: HarshDevice, wants: Wants, isCalm = false): string[] {
  return MODELS.filter((name) => {
    const { model: typed } = versionOf(name, 1);
    const serving = device.disk.serving.get(name);
    if (serving === undefined || !wants.has(name) || device.answering(typed) !== undefined) return false;
    return device.records(typed).some((record) => {
      const serves = isCalm && record.version === serving.serving && (record.install === 'good' || record.install === 'probation');
      const able = serves || (record.install === 'good' && record.boots < 5);
      return (
        able &&
        device.isWhole(versionOf(name, record.version)) &&
        device.isSound(record) &&
        (record.version >= (hub.minimums.get(name) ?? 1) || record.version === serving.serving)
      );
    });
  });
}

/** Models that give no answer although what served, or was kept, could be fetched again; with everything calm for long. */
function lost(device: HarshDevice, wants: Wants): string[] {
  return MODELS.filter((name) => {
    const { model: typed } = versionOf(name, 1);
    const serving = device.disk.serving.get(name);
    if (serving === undefined || !wants.has(name) || device.answering(typed) !== undefined) return false;
    // What is good and whole is tried for ever instead.
    const able = device.records(typed).filter(({ install }) => install === 'good' || install === 'probation');
    if (able.some(({ version }) => device.isWhole(versionOf(name, version)))) return false;
    return device.records(typed).some((record) => {
      const kept = record.version === serving.serving || record.version === serving.lastKnownGood;
      return kept && record.install !== 'bad' && device.isSound(record) && record.version >= (hub.minimums.get(name) ?? 1);
    });
  });
}

/** Models that are not where they could be, with everything calm for long. */
function astray(device: HarshDevice, wants: Wants): string[] {
  return [...wants.values()].flatMap((want) => {
    const { model: typed } = versionOf(want.model, 1);
    const record = device.records(typed).find(({ version }) => version === want.version);
    if (want.version < (hub.minimums.get(want.model) ?? 1)) return [];
    if (!device.isSound({ model: typed, version: versionOf(want.model, want.version).version })) return [];
    if (record?.install === 'bad' && record.attempt === want.attempt) return [];
    const answers = device.answering(typed);
    return answers === want.version ? [] : [`${want.model} ${want.version} is wanted, ${String(answers)} answers`];
  });
}

/** Plays a history on the real manager; what must never be, with the last steps done, or nothing. */
export async function play({ natures, minimum, budgetBytes, happenings }: Script): Promise<string[]> {
  const all = new Map(MODELS.flatMap((name) => natures[name].map((one, index) => [`${name}@${index + 1}`, one] as const)));
  all.set('a@2', SOUND);
  hub.minimums.set('a', minimum);
  networkGone(false);
  const device = new HarshDevice(hub, published, all);
  device.disk.budgetBytes = budgetBytes;
  const wants: Wants = new Map();
  await device.start();
  await happen(device, wants, { kind: 'want', model: 'a', version: 2, attempt: 0, candidate: null });
  await device.wait(70_000);
  for (const { happening: what, pause } of happenings) {
    await happen(device, wants, what);
    await device.wait(pause);
    if (pause === LONG) device.violations.push(...silent(device, wants).map((name) => `${name} is silent after ${JSON.stringify(what)}`));
    if (device.violations.length > 0) return [...device.violations, ...device.steps.slice(-20)];
  }
  device.disk.full = false;
  device.memoryIsShort = false;
  device.killAfterWrites = undefined;
  networkGone(false);
  await device.wait(LONG);
  await device.wait(LONG);
  const before = device.steps.length;
  await device.wait(LONG);
  const late = device.steps.slice(before);
  // What alone is left to serve is tried for ever, ever more slowly; where it takes the process down, after a pause.
  const restless = late.filter((step) => !/ (load|route|direct|markGood)\//.test(step) && step !== 'killed');
  if (late.length > MAX_LATE_STEPS || late.filter((step) => step === 'killed').length > MAX_LATE_CRASHES) restless.push(...late);
  device.violations.push(
    ...silent(device, wants, true).map((name) => `${name} is silent at the end`),
    ...lost(device, wants).map((name) => `${name} is lost`),
    ...astray(device, wants),
  );
  if (restless.length > 0) device.violations.push(`restless: ${restless.slice(0, 12).join(', ')}`);
  return device.violations.length === 0 ? [] : [...device.violations, ...device.steps.slice(-30)];
}
