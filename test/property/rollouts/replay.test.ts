import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actionsOf, apply } from '#hub/rollouts/decide/apply.js';
import { decide } from '#hub/rollouts/decide/next-event.js';
import { AUTOMATIC_EVENTS, isActive, OPERATOR_EVENTS, type OperatorEvent, TRANSITIONS } from '#hub/rollouts/decide/machine.js';
import { type Decision, decisionSchema, type RolloutRecord, rolloutRecordSchema } from '#hub/rollouts/record.js';
import { hasCode } from '#shared/kernel/errors.js';
import { minutes } from '#shared/kernel/time.js';
import { documentOf, OPERATOR, Rig } from '../../unit/hub/rollouts/rig.js';

type Move =
  | { readonly kind: 'step'; readonly minutes: number; readonly react: boolean }
  | { readonly kind: 'evidence'; readonly canary: number | undefined }
  | { readonly kind: 'act'; readonly event: OperatorEvent }
  | { readonly kind: 'break'; readonly broken: boolean }
  | { readonly kind: 'remove'; readonly index: number; readonly removed: boolean }
  | { readonly kind: 'exclude'; readonly index: number }
  | { readonly kind: 'device'; readonly index: number; readonly silent: boolean; readonly failing: boolean }
  | { readonly kind: 'join' }
  | { readonly kind: 'die' };

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('step' as const), minutes: fc.integer({ min: 1, max: 90 }), react: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('evidence' as const), canary: fc.constantFrom(undefined, 0, 8, 10, 14, 100) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('act' as const), event: fc.constantFrom(...OPERATOR_EVENTS) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('break' as const), broken: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('device' as const), index: fc.nat(19), silent: fc.boolean(), failing: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('join' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('die' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), index: fc.nat(19), removed: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('exclude' as const), index: fc.nat(19) }) },
);

const changes = fc.record({
  onFailure: fc.constantFrom('pause', 'rollback-wave', 'rollback-all'),
  maxInFlight: fc.integer({ min: 1, max: 20 }),
  waves: fc.constantFrom(['5%', '100%'], ['10%', { percent: '50%', approval: 'operator' }, '100%'], [{ count: 3 }]),
  silent: fc.record({ after: fc.constantFrom('5m', '1h'), as: fc.constantFrom('failure', 'left-out') }),
  bake: fc.constantFrom('0s', '10m'),
  strategy: fc.constantFrom('canary', 'canary', 'blue-green', 'shadow', 'ab'),
  rollback: fc.record({ maxInFlight: fc.constantFrom(1, 3, 1000) }),
  schedule: fc.constantFrom({}, {}, { windows: [{ cron: '0 */2 * * *', lasts: '1h' }] }),
});

/** Statuses that may remain once everything is taken back. */
const BACK: ReadonlySet<string> = new Set(['waiting', 'holdout', 'reverted', 'unproven', 'released']);

/** Statuses of devices that may still be wished to run the version once it ended so. */
const STAYS: Readonly<Partial<Record<string, ReadonlySet<string>>>> = {
  'rolled-back': new Set(['released']),
  aborted: new Set(['installed', 'failed', 'released']),
};

async function play(rig: Rig, id: string, moves: readonly Move[]): Promise<void> {
  let joined = 0;
  for (const m of moves) {
    if (m.kind === 'step') await rig.step(minutes(m.minutes), m.react);
    else if (m.kind === 'evidence') rig.evidence.canary = m.canary;
    else if (m.kind === 'break') rig.evidence.broken = m.broken;
    else if (m.kind === 'die') await rig.restart();
    else if (m.kind === 'join') rig.fleet.add(`late-${joined++}`);
    else if (m.kind === 'device') Object.assign(rig.fleet.get(`device-${m.index}`), { silent: m.silent, failing: m.failing });
    else if (m.kind === 'remove') {
      const { id: device } = rig.fleet.get(`device-${m.index}`);
      if (m.removed) rig.fleet.removed.add(device);
      else rig.fleet.removed.delete(device);
    } else await allowed(m.kind === 'exclude' ? exclude(rig, id, m.index) : rig.controller.act(id, m.event, OPERATOR));
  }
}

function exclude(rig: Rig, id: string, index: number): Promise<unknown> {
  return rig.controller.exclude(id, [rig.fleet.get(`device-${index}`).id], OPERATOR, 'in repair');
}

async function allowed(done: Promise<unknown>): Promise<void> {
  await done.catch((thrown: unknown) => (hasCode(thrown, 'ROLLOUT_STATE') ? undefined : Promise.reject(thrown)));
}

const AUTOMATIC: ReadonlySet<string> = new Set(AUTOMATIC_EVENTS);

/** Goes through the decisions again, from JSON, and lets each automatic one be decided anew. */
function replay(first: RolloutRecord, decisions: readonly Decision[]): RolloutRecord {
  let record = first;
  for (const stored of decisions) {
    const decision = decisionSchema.parse(JSON.parse(JSON.stringify(stored)));
    expect([record.state, record.decisions + 1]).toEqual([decision.from, decision.number]);
    const verdict = AUTOMATIC.has(decision.event) ? decide(record, decision.figures ?? undefined, decision.at) : decision;
    expect([verdict.event, verdict.reason, verdict.results]).toEqual([decision.event, decision.reason, decision.results]);
    record = rolloutRecordSchema.parse(JSON.parse(JSON.stringify(apply(record, decision.event, decision.at))));
  }
  return record;
}

describe('a rollout under anything that may happen', () => {
  it('moves only by recorded decisions, and a replay of the figures decides the same (R8)', async () => {
    await fc.assert(
      fc.asyncProperty(changes, fc.array(move, { maxLength: 60 }), async (document, moves) => {
        const rig = new Rig(20);
        const first = await rig.controller.create(documentOf(document), OPERATOR, { draft: true });
        await rig.controller.act(first.id, 'start', OPERATOR);
        await play(rig, first.id, moves);
        const record = await rig.store.read(first.id);
        const decisions = await rig.store.decisions(first.id);
        expect(decisions).toHaveLength(record.decisions);
        expect(replay(first, decisions)).toEqual(record);
      }),
      { numRuns: 150 },
    );
  });

  it('tells a device only what is stored, in order and never twice in a row', async () => {
    await fc.assert(
      fc.asyncProperty(changes, fc.array(move, { maxLength: 60 }), async (document, moves) => {
        const rig = new Rig(20);
        const { id } = await rig.controller.create(documentOf(document), OPERATOR);
        await play(rig, id, moves);
        for (const device of rig.fleet.devices.values()) {
          const told = device.told.map((wish) => `${wish.target?.version}/${wish.action}/${wish.attempt}`);
          expect(told.filter((wish, i) => wish === told[i - 1])).toEqual([]);
        }
        const rows = await rig.store.devices(id);
        const { state, document: stored } = await rig.store.read(id);
        const untold = rows.filter((row) => (row.status === 'waiting' || row.status === 'holdout') && row.toldAt === null);
        for (const row of untold) expect(rig.fleet.get(row.device).told).toEqual([]);
        const stays: ReadonlySet<string> | undefined = STAYS[state];
        const wished = rows.filter((row) => rig.fleet.wishFor(row.device)?.target?.version === stored.version);
        expect(stays === undefined ? [] : wished.filter((row) => !stays.has(row.status))).toEqual([]);
        const leftOver = state === 'rolled-back' ? rows.filter((row) => !BACK.has(row.status)) : [];
        expect(leftOver).toEqual([]);
        expect(rows.filter((row) => row.status === 'told').length).toBeLessThanOrEqual(stored.maxInFlight);
      }),
      { numRuns: 150 },
    );
  });

  it('ends when a person ends it, whatever the devices do', async () => {
    await fc.assert(
      fc.asyncProperty(
        changes,
        fc.array(move, { maxLength: 40 }),
        fc.constantFrom<OperatorEvent>('abort', 'rollback'),
        async (document, moves, wanted) => {
          const rig = new Rig(20);
          const { id } = await rig.controller.create(documentOf(document), OPERATOR);
          await play(rig, id, moves);
          const actions = actionsOf(await rig.store.read(id));
          const event = actions.find((action) => action === wanted) ?? actions.find((action) => action === 'rollback');
          if (event !== undefined) await rig.controller.act(id, event, OPERATOR);
          for (let i = 0; i < 60 && isActive((await rig.store.read(id)).state); i++) await rig.step(minutes(30));
          expect(isActive((await rig.store.read(id)).state)).toBe(false);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('ends the same whatever the order in which devices report', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(fc.nat(19), { maxLength: 20 }), { maxLength: 15 }), async (order) => {
        const rig = new Rig(20);
        const { id } = await rig.controller.create(documentOf({ waves: ['30%', '100%'] }), OPERATOR);
        for (const reporting of order) {
          for (const device of rig.fleet.devices.values()) device.silent = true;
          for (const index of reporting) rig.fleet.get(`device-${index}`).silent = false;
          await rig.step();
        }
        for (const device of rig.fleet.devices.values()) device.silent = false;
        expect(await rig.until(id, 'completed')).toBe('completed');
        const wave = ['begin-wave -> installing', 'all-decided -> baking', 'baked -> evaluating'];
        expect(await rig.chain(id)).toEqual([
          ...wave,
          'wave-passed -> scheduled',
          ...wave,
          'wave-passed -> scheduled',
          ...wave,
          'finished -> completed',
        ]);
        expect((await rig.store.devices(id)).every((row) => row.status === 'installed')).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});

describe('the transition table', () => {
  it('moves forward only: without a person no state comes back within a wave', () => {
    const forward = (state: keyof typeof TRANSITIONS, seen: readonly string[]): void => {
      expect(seen).not.toContain(state);
      for (const event of AUTOMATIC_EVENTS) {
        // The next wave begins with its own index; it is not the same state again.
        if (event === 'wave-passed') continue;
        for (const next of TRANSITIONS[state][event] ?? []) forward(next, [...seen, state]);
      }
    };
    forward('scheduled', []);
  });
});
