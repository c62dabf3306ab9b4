import { ROWS } from '#shared/signals/rows.js';
import { sql } from 'kysely';
import { afterEach, describe, expect, it } from 'vitest';
import { readRollout, type RolloutDocument } from '#hub/rollouts/document.js';
import { RolloutHub } from '../../kit/rollout-hub.js';

const OPERATOR = { name: 'ada', role: 'operator', source: '192.0.2.7' } as const;
const NEVER = { retry: false, createdBy: 'ada' };

let world: RolloutHub | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

async function start(): Promise<RolloutHub> {
  world = await RolloutHub.start(6, (i) => ({ site: i < 4 ? 'lab' : 'field' }));
  await world.hub.fleet.deployments.create({ model: 'vad', version: 1, selector: '', ...NEVER });
  await world.toldTruly();
  await world.react();
  return world;
}

function documentOf(changes: Record<string, unknown> = {}): RolloutDocument {
  const gates = [{ gate: 'install' }];
  return readRollout({ model: 'vad', version: 2, cohort: 'site=lab', waves: ['50%', '100%'], bake: '0s', gates, ...changes });
}

describe('a deployment of the model of a rollout under way', () => {
  it('is refused on the devices of its cohort, and changes nothing', async () => {
    const made = await start();
    const { id } = await made.controller.create(documentOf(), OPERATOR);
    const { deployments } = made.hub.fleet;
    const refused = await deployments.create({ model: 'vad', version: 3, selector: '', ...NEVER }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'DEPLOYMENT_OVERLAP', details: { rollout: id, devices: 4 } });
    expect(await deployments.list(10)).toHaveLength(1);
    expect((await deployments.create({ model: 'vad', version: 3, selector: 'site=field', ...NEVER })).matched).toBe(2);
    expect(await made.run(id)).toBe('completed');
  });

  it('ends the rollout where it stands when that is asked for, in the name of who asked', async () => {
    const made = await start();
    const { id } = await made.controller.create(documentOf(), OPERATOR);
    const wanted = { model: 'vad', version: 3, selector: 'site=lab', ...NEVER, supersede: OPERATOR };
    await expect(made.hub.fleet.deployments.create({ ...wanted, version: 9 })).rejects.toMatchObject({ code: 'VERSION_UNKNOWN' });
    expect((await made.store.read(id)).state).toBe('installing');
    expect(await made.hub.fleet.deployments.create(wanted)).toMatchObject({ matched: 4, superseded: [id] });
    expect((await made.store.read(id)).state).toBe('superseded');
    expect((await made.store.decisions(id)).at(-1)).toMatchObject({
      event: 'supersede',
      actor: OPERATOR,
      reason: 'superseded by the deployment of vad@3',
    });
    await made.toldTruly();
    await made.controller.tick();
    for (const device of made.devices.slice(0, 4)) expect(made.told(device)).toEqual({ version: 3 });
  });

  it('leaves the rollout under way when the deployment that was to end it is cut off', async () => {
    const made = await start();
    const { id } = await made.controller.create(documentOf(), OPERATOR);
    const { db } = made.hub;
    await sql`create trigger cut before insert on deployments begin select raise(abort, 'the hub died'); end`.execute(db);
    const wanted = { model: 'vad', version: 3, selector: 'site=lab', ...NEVER, supersede: OPERATOR };
    await expect(made.hub.fleet.deployments.create(wanted)).rejects.toThrow('the hub died');
    await sql`drop trigger cut`.execute(db);
    expect((await made.store.read(id)).state).toBe('installing');
    expect(await made.run(id)).toBe('completed');
  });

  it('does not reach its devices by a change of labels either', async () => {
    const made = await start();
    await made.hub.fleet.deployments.create({ model: 'vad', version: 3, selector: 'tier=gold', ...NEVER });
    const { id } = await made.controller.create(documentOf(), OPERATOR);
    await made.hub.fleet.devices.patchLabels('cam-0', { tier: 'gold' });
    await made.toldTruly();
    for (const device of made.devices) expect(made.told(device)?.version).not.toBe(3);
    expect(await made.run(id)).toBe('completed');
  });

  it('is not kept out by a draft, which asks anew when it is started', async () => {
    const made = await start();
    const draft = await made.controller.create(documentOf(), OPERATOR, { draft: true });
    await made.hub.fleet.deployments.create({ model: 'vad', version: 1, selector: '', ...NEVER });
    const other = await made.controller.create(documentOf({ version: 3 }), OPERATOR);
    await expect(made.controller.act(draft.id, 'start', OPERATOR)).rejects.toMatchObject({
      code: 'ROLLOUT_OVERLAP',
      details: { rollout: other.id },
    });
  });
});

describe('a rollout that completed', () => {
  it('leaves a deployment, which reaches devices that join later, and is not looked at any more', async () => {
    const made = await start();
    const { id } = await made.controller.create(documentOf(), OPERATOR);
    expect(await made.run(id)).toBe('completed');
    const [left] = await made.hub.fleet.deployments.list(1);
    expect(left).toMatchObject({ version: 2, selector: 'site=lab', rollout: id, createdBy: `rollout:${id}`, withdrawnAt: null });
    expect((await made.hub.fleet.deployments.get(left?.id ?? 0)).counts).toMatchObject({ serving: 4 });
    expect(made.controller.outlook(id)).toBeUndefined();
    const counters = await made.hub.db.selectFrom('desired_states').select(['device', 'counter']).execute();
    const late = await made.enrol('late-1', { site: 'lab' });
    const elsewhere = await made.enrol('late-2', { site: 'field' });
    await made.toldTruly();
    expect([made.told(late), made.told(elsewhere)]).toEqual([{ version: 2 }, { version: 1 }]);
    // What they run did not change, so nobody was told anything anew.
    expect(await made.hub.db.selectFrom('desired_states').select(['device', 'counter']).where('device', 'like', 'cam-%').execute()).toEqual(
      counters,
    );
  });

  it('leaves devices out that cannot run the version, those that come under its selector later too', async () => {
    const made = await start();
    // Older than what the operators of the version need.
    for (const device of made.devices.slice(3, 5)) await made.hasRuntime(device, '1.10.0');
    const { id } = await made.controller.create(documentOf(), OPERATOR);
    expect(await made.run(id)).toBe('completed');
    await made.hub.fleet.devices.patchLabels('cam-4', { site: 'lab' });
    await made.hub.fleet.devices.patchLabels('cam-5', { site: 'lab' });
    await made.toldTruly();
    expect(made.devices.map((device) => made.told(device)?.version)).toEqual([2, 2, 2, 1, 1, 2]);
  });

  it('of a part of its cohort leaves nothing', async () => {
    const made = await start();
    const { id } = await made.controller.create(documentOf({ waves: ['50%'] }), OPERATOR);
    expect(await made.run(id)).toBe('completed');
    expect((await made.hub.fleet.deployments.list(10)).map((row) => row.rollout)).toEqual([null]);
    const late = await made.enrol('late-1', { site: 'lab' });
    await made.toldTruly();
    expect(made.told(late)).toEqual({ version: 1 });
  });

  it('takes the version back from whoever has it through it, late devices too, and leaves nothing then', async () => {
    const made = await start();
    const { id } = await made.controller.create(documentOf(), OPERATOR);
    await made.run(id);
    const late = await made.enrol('late-1', { site: 'lab' });
    await made.hub.fleet.deployments.create({ model: 'vad', version: 3, selector: 'site=lab,tier=gold', ...NEVER });
    await made.hub.fleet.devices.patchLabels('cam-0', { tier: 'gold' });
    await made.toldTruly();
    await made.react();
    await made.controller.act(id, 'rollback', OPERATOR);
    expect(await made.run(id)).toBe('rolled-back');
    await made.toldTruly();
    const told = new Map(made.devices.map((device) => [device.id, made.told(device)?.version]));
    expect([told.get(late.id), ...['cam-0', 'cam-1', 'cam-2', 'cam-3', 'cam-4'].map((name) => told.get(name as typeof late.id))]).toEqual([
      1, 3, 1, 1, 1, 1,
    ]);
    expect((await made.hub.fleet.deployments.list(10)).find((row) => row.rollout === id)?.withdrawnAt).not.toBeNull();
    const later = await made.enrol('late-2', { site: 'lab' });
    await made.toldTruly();
    expect(made.told(later)).toEqual({ version: 1 });
    expect((await made.store.devices(id)).find((row) => row.device === 'cam-0')?.status).toBe('released');
  });

  it('is taken up again only where no other rollout is under way', async () => {
    const made = await start();
    const { id } = await made.controller.create(documentOf(), OPERATOR);
    await made.run(id);
    const other = await made.controller.create(documentOf({ version: 3 }), OPERATOR);
    await expect(made.controller.act(id, 'rollback', OPERATOR)).rejects.toMatchObject({
      code: 'ROLLOUT_OVERLAP',
      details: { rollout: other.id },
    });
    expect((await made.store.read(id)).state).toBe('completed');
  });
});

describe('a shadow that passed', () => {
  it('ends everywhere, and leaves the old version as it was', async () => {
    const made = await start();
    const { id } = await made.controller.create(documentOf({ strategy: 'shadow' }), OPERATOR);
    await made.toldTruly();
    expect(made.devices.filter((device) => made.told(device)?.candidate === 2)).toHaveLength(2);
    expect(await made.run(id)).toBe('completed');
    const chain = (await made.store.decisions(id)).slice(-2).map((decision) => `${decision.event} -> ${decision.to}`);
    expect(chain).toEqual(['finished -> ending', 'reverted -> completed']);
    await made.toldTruly();
    for (const device of made.devices) expect(made.told(device)).toEqual({ version: 1 });
    const sources = await made.hub.db.selectFrom('desired_models').select('source').distinct().execute();
    expect(sources).toEqual([{ source: 'deployment:1' }]);
  });

  it('ends everywhere as well when it is aborted', async () => {
    const made = await start();
    const { id } = await made.controller.create(documentOf({ strategy: 'ab', waves: ['100%'], bake: '1h' }), OPERATOR);
    for (let i = 0; i < 3; i++) {
      await made.toldTruly();
      await made.react();
      await made.controller.tick();
    }
    expect((await made.store.read(id)).state).toBe('baking');
    await made.controller.act(id, 'abort', OPERATOR);
    expect(await made.run(id)).toBe('aborted');
    for (const device of made.devices) expect(made.told(device)).toEqual({ version: 1 });
  });
});

describe('an A/B that passed', () => {
  it('shows both sides and how they compare, for good, and can be promoted', async () => {
    const made = await start();
    const { id } = await made.controller.create(
      documentOf({ strategy: 'ab', waves: ['100%'], bake: '20m', gates: [{ gate: 'install' }, { gate: 'errors' }, { gate: 'feedback' }] }),
      OPERATOR,
    );
    // Labelled feedback: the new version is wrong half as often.
    const state = await made.run(
      id,
      () => 0.02,
      (sums, version) => sums.add(ROWS.feedback, { total: 500, wrong: version === 2 ? 25 : 50 }),
    );
    expect(state).toBe('completed');
    const outcome = await made.controller.outcome(id);
    expect(outcome.new).toMatchObject({ versions: [2], devices: 4 });
    expect(outcome.old).toMatchObject({ versions: [1], devices: 4 });
    expect(outcome.new.predictions).toBe(outcome.old.predictions);
    const wrong = outcome.ratios.find((ratio) => ratio.of === 'wrong answers');
    expect(wrong?.estimate).toBeCloseTo(0.5, 1);
    expect(wrong?.upper).toBeLessThan(0.8);
    await made.hub.db.deleteFrom('metrics_device').execute();
    expect(await made.controller.outcome(id)).toEqual(outcome);

    const next = await made.controller.promote(id, undefined, OPERATOR, { draft: true });
    expect(next.document).toMatchObject({ model: 'vad', version: 2, strategy: { kind: 'canary' }, cohort: 'site=lab' });
    await expect(made.controller.promote(next.id, undefined, OPERATOR)).rejects.toMatchObject({ code: 'ROLLOUT_NOT_A_TRIAL' });
  });
});
