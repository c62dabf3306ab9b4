import { describe, expect, it } from 'vitest';
import { hours, minutes } from '#shared/kernel/time.js';
import { versionOf } from '../../../kit/rollout-fleet.js';
import { documentOf, OPERATOR, Rig } from './rig.js';

const THROUGH = ['begin-wave -> installing', 'all-decided -> baking', 'baked -> evaluating'];

describe('a good version', () => {
  it('goes through wave by wave, the reserve last', async () => {
    const rig = new Rig(40);
    const { id, plan } = await rig.controller.create(documentOf(), OPERATOR);
    expect(plan.waves.map((wave) => [wave.name, wave.devices.length])).toEqual([
      ['5%', 2],
      ['100%', 36],
      ['reserve', 2],
    ]);
    expect(await rig.until(id, 'completed')).toBe('completed');
    expect(await rig.chain(id)).toEqual([
      ...THROUGH,
      'wave-passed -> scheduled',
      ...THROUGH,
      'wave-passed -> scheduled',
      ...THROUGH,
      'finished -> completed',
    ]);
    for (const device of rig.fleet.devices.values()) {
      expect(device.serving?.version).toBe(2);
      expect(device.told).toHaveLength(1);
    }
    expect(rig.fleet.alerts.map((alert) => alert.kind)).toEqual(['completed']);
  });

  it('never has more devices in flight than asked for', async () => {
    const rig = new Rig(40);
    const { id } = await rig.controller.create(
      documentOf({ maxInFlight: 3, waves: ['100%'], reserve: '0%', gates: [{ gate: 'install' }] }),
      OPERATOR,
    );
    for (let i = 0; i < 30; i++) {
      const rows = await rig.store.devices(id);
      expect(rows.filter((row) => row.status === 'told').length).toBeLessThanOrEqual(3);
      await rig.step();
    }
    expect((await rig.store.read(id)).state).toBe('completed');
  });

  it('reaches devices that join later, in the wave they belong to', async () => {
    const rig = new Rig(40);
    const { id } = await rig.controller.create(documentOf(), OPERATOR);
    await rig.until(id, 'baking');
    for (let i = 0; i < 20; i++) rig.fleet.add(`late-${i}`);
    await rig.until(id, 'completed');
    await rig.step();
    await rig.step();
    const rows = await rig.store.devices(id);
    expect(rows.filter((row) => row.device.startsWith('late-') && row.status === 'installed')).toHaveLength(20);
  });

  it('waits for approval by the role named, and records who gave it', async () => {
    const rig = new Rig(40);
    const { id } = await rig.controller.create(documentOf({ waves: ['5%', { percent: '100%', approval: 'admin' }] }), OPERATOR);
    expect(await rig.until(id, 'awaiting-approval')).toBe('awaiting-approval');
    await expect(rig.controller.act(id, 'approve', OPERATOR)).rejects.toMatchObject({ code: 'ROLLOUT_ROLE' });
    await rig.controller.act(id, 'approve', { name: 'grace', role: 'admin', source: '192.0.2.8' });
    expect(await rig.until(id, 'completed')).toBe('completed');
    const approvals = (await rig.store.decisions(id)).filter((decision) => decision.event === 'approve');
    expect(approvals.map((decision) => decision.actor)).toEqual([{ name: 'grace', role: 'admin', source: '192.0.2.8' }]);
  });

  it('begins only inside its window', async () => {
    const rig = new Rig(40);
    const schedule = { windows: [{ cron: '0 22 * * *', lasts: '2h', timeZone: 'Europe/Berlin' }] };
    const { id } = await rig.controller.create(documentOf({ schedule }), OPERATOR);
    await rig.step(hours(20));
    expect((await rig.store.read(id)).state).toBe('scheduled');
    await rig.step(hours(1));
    expect((await rig.store.read(id)).state).toBe('installing');
  });

  it('stops where its window closes, and goes on in the next one', async () => {
    const rig = new Rig(10);
    const schedule = { windows: [{ cron: '0 2 * * *', lasts: '10m' }] };
    const { id } = await rig.controller.create(
      documentOf({ schedule, waves: ['100%'], reserve: 0, maxInFlight: 1, deadline: '2d', gates: [{ gate: 'install' }] }),
      OPERATOR,
    );
    const told = async (): Promise<number> => (await rig.store.devices(id)).filter((row) => row.toldAt !== null).length;
    await rig.step(hours(2));
    for (let i = 0; i < 60; i++) await rig.step(minutes(2));
    const first = await told();
    expect(first).toBeGreaterThan(1);
    expect(first).toBeLessThan(8);
    expect((await rig.store.read(id)).state).toBe('installing');
    await rig.step(hours(24) - minutes(120));
    for (let i = 0; i < 60; i++) await rig.step(minutes(2));
    expect(await told()).toBeGreaterThan(first);
  });

  it('is staged everywhere before anybody switches with blue-green', async () => {
    const rig = new Rig(10);
    const { id, plan } = await rig.controller.create(
      documentOf({ strategy: 'blue-green', waves: ['100%'], reserve: '0%', gates: [{ gate: 'install' }] }),
      OPERATOR,
    );
    expect(plan.waves.map((wave) => wave.action)).toEqual(['stage', 'serve']);
    await rig.until(id, 'completed');
    for (const device of rig.fleet.devices.values()) expect(device.told.map((wish) => wish.action)).toEqual(['stage', 'serve']);
    const rows = await rig.store.devices(id);
    expect(rows.every((row) => row.wave === 1 && row.status === 'installed')).toBe(true);
  });
});

describe('a shadow', () => {
  it('ends once it passed, and then nothing is left to do with it', async () => {
    const rig = new Rig(10);
    const gates = [{ gate: 'install' }, { gate: 'errors' }];
    const { id } = await rig.controller.create(documentOf({ strategy: 'shadow', waves: ['100%'], gates }), OPERATOR);
    expect(await rig.until(id, 'completed')).toBe('completed');
    expect((await rig.chain(id)).slice(-2)).toEqual(['finished -> ending', 'reverted -> completed']);
    for (const device of rig.fleet.devices.values()) expect(device.told.map((wish) => wish.action)).toEqual(['shadow', 'alone']);
    expect(rig.fleet.alerts.map((alert) => [alert.kind, alert.state])).toEqual([['completed', 'completed']]);
    await expect(rig.controller.act(id, 'retry', OPERATOR)).rejects.toMatchObject({ code: 'ROLLOUT_STATE' });
    await expect(rig.controller.act(id, 'rollback', OPERATOR)).rejects.toMatchObject({ code: 'ROLLOUT_STATE' });
  });

  it('is not for devices that run nothing, which neither wait nor fail', async () => {
    const rig = new Rig(10);
    rig.fleet.get('device-3').serving = undefined;
    const { id, plan } = await rig.controller.create(
      documentOf({ strategy: 'shadow', waves: ['100%'], gates: [{ gate: 'install' }] }),
      OPERATOR,
    );
    expect(plan.incapable.map(({ device }) => device)).toEqual(['device-3']);
    expect(await rig.until(id, 'completed')).toBe('completed');
    expect((await rig.store.devices(id)).some((row) => row.device === 'device-3')).toBe(false);
  });
});

describe('a bad version', () => {
  it('is taken back everywhere, proven by reports', async () => {
    const rig = new Rig(40);
    const { id } = await rig.controller.create(documentOf(), OPERATOR);
    await rig.until(id, 'baking');
    rig.evidence.canary = 100;
    expect(await rig.until(id, 'rolled-back')).toBe('rolled-back');
    expect(await rig.chain(id)).toEqual([
      'begin-wave -> installing',
      'all-decided -> baking',
      'gate-failed-rollback -> rolling-back',
      'reverted -> rolled-back',
    ]);
    const [, , failed] = await rig.store.decisions(id);
    expect(failed?.reason).toMatch(/^errors: failed predictions: .* above the 1.25 tolerated$/);
    expect(failed?.figures?.gates).toHaveLength(2);
    for (const device of rig.fleet.devices.values()) expect(device.serving?.version).toBe(1);
    expect(rig.fleet.alerts.map((alert) => alert.kind)).toEqual(['rolling-back', 'rolled-back']);
  });

  it('that a device takes back by itself is stopped at once, and stays known why', async () => {
    const rig = new Rig(40);
    const { id } = await rig.controller.create(documentOf({ waves: [{ count: 1 }, '100%'] }), OPERATOR);
    await rig.until(id, 'baking');
    const [first] = (await rig.store.devices(id)).filter((row) => row.wave === 0);
    const device = rig.fleet.get(first?.device ?? '');
    device.failing = true;
    device.serving = versionOf(1);
    device.error = { code: 'MODELS_GUARD_ERRORS', message: '9 of 20 predictions failed' };
    expect(await rig.until(id, 'rolled-back')).toBe('rolled-back');
    const [, , stopped] = await rig.store.decisions(id);
    expect(stopped?.event).toBe('gate-failed-rollback');
    expect(stopped?.reason).toMatch(/^install: 1 of 1 devices rolled back on their own/);
    expect((await rig.store.devices(id)).find((row) => row.device === first?.device)).toMatchObject({
      status: 'reverted',
      error: device.error,
    });
  });

  it('pauses instead when the rollout says so', async () => {
    const rig = new Rig(40);
    const { id } = await rig.controller.create(documentOf({ onFailure: 'pause' }), OPERATOR);
    rig.evidence.canary = 100;
    expect(await rig.until(id, 'paused')).toBe('paused');
    await rig.controller.act(id, 'rollback', OPERATOR);
    expect(await rig.until(id, 'rolled-back')).toBe('rolled-back');
  });

  it('is taken back from its wave only, and the wave begins anew on resume', async () => {
    const rig = new Rig(40);
    const { id } = await rig.controller.create(documentOf({ onFailure: 'rollback-wave' }), OPERATOR);
    await rig.until(id, 'baking');
    rig.evidence.canary = 100;
    expect(await rig.until(id, 'paused')).toBe('paused');
    expect((await rig.store.devices(id)).filter((row) => row.status === 'reverted')).toHaveLength(2);
    rig.evidence.canary = 10;
    await rig.controller.act(id, 'resume', OPERATOR);
    expect(await rig.until(id, 'completed')).toBe('completed');
    const first = (await rig.store.devices(id)).find((row) => row.wave === 0);
    const attempt = rig.fleet.get(first?.device ?? '').told[0]?.attempt ?? 0;
    expect(rig.fleet.get(first?.device ?? '').told.map((wish) => [wish.target?.version, wish.attempt - attempt])).toEqual([
      [2, 0],
      [1, 0],
      [2, 1],
    ]);
  });

  it('that cannot be installed is stopped by the install gate, silent devices counting as the rollout says', async () => {
    for (const [as, state] of [
      ['failure', 'rolled-back'],
      ['left-out', 'completed'],
    ] as const) {
      const rig = new Rig(40);
      for (let i = 0; i < 40; i += 2) rig.fleet.get(`device-${i}`).silent = true;
      const { id } = await rig.controller.create(
        documentOf({ silent: { after: '30m', as }, waves: ['50%', '100%'], reserve: '20%', falseAlarms: 0.05 }),
        OPERATOR,
      );
      expect([as, await rig.until(id, 'rolled-back', 'completed')]).toEqual([as, state]);
      const rows = await rig.store.devices(id);
      const silent = rows.filter((row) => rig.fleet.get(row.device).silent && row.toldAt !== null);
      expect(silent.length).toBeGreaterThan(0);
      expect(silent.every((row) => row.status === (as === 'failure' ? 'unproven' : 'silent'))).toBe(true);
    }
  });
});

describe('a gate that comes near its limit', () => {
  it('is told of once a wave', async () => {
    const rig = new Rig(40);
    const { id } = await rig.controller.create(documentOf({ bake: '3h' }), OPERATOR);
    await rig.until(id, 'baking');
    // It gets worse little by little: harm is likely before it is shown.
    for (let events = 10; events < 40 && rig.fleet.alerts.length === 0; events += 0.5) {
      rig.evidence.canary = events;
      await rig.step();
    }
    for (let i = 0; i < 5; i++) await rig.step();
    expect((await rig.store.read(id)).state).toBe('baking');
    expect(rig.fleet.alerts.map((alert) => [alert.kind, alert.actor, alert.reason.slice(0, 7)])).toEqual([
      ['near-limit', 'hub', 'errors:'],
    ]);
  });
});

describe('at each state of a wave', () => {
  const STATES = ['installing', 'baking', 'evaluating'] as const;
  async function at(state: (typeof STATES)[number]): Promise<{ rig: Rig; id: string }> {
    const rig = new Rig(40);
    if (state === 'evaluating') rig.evidence.canary = undefined;
    const { id } = await rig.controller.create(documentOf(), OPERATOR);
    if (state !== 'installing') await rig.until(id, state);
    expect((await rig.store.read(id)).state).toBe(state);
    return { rig, id };
  }

  it.each(STATES)('%s: a hub that died goes on; nobody is told twice and nobody forgotten', async (state) => {
    const { rig, id } = await at(state);
    await rig.restart();
    rig.evidence.canary = 10;
    for (let i = 0; i < 200 && (await rig.store.read(id)).state !== 'completed'; i++) {
      if (i % 3 === 0) await rig.restart();
      await rig.step();
    }
    expect((await rig.store.read(id)).state).toBe('completed');
    for (const device of rig.fleet.devices.values()) expect(device.told).toHaveLength(1);
  });

  it.each(STATES)('%s: reports that come late or twice change nothing more', async (state) => {
    const { rig, id } = await at(state);
    rig.evidence.canary = 10;
    for (let i = 0; i < 5; i++) await rig.step(minutes(1), i === 3);
    await rig.controller.tick();
    await rig.controller.tick();
    expect(await rig.until(id, 'completed')).toBe('completed');
  });

  it.each(STATES)('%s: an operator aborts; who has it keeps it, who is on the way goes back', async (state) => {
    const { rig, id } = await at(state);
    await rig.controller.act(id, 'abort', OPERATOR);
    expect(await rig.until(id, 'aborted')).toBe('aborted');
    const served = [...rig.fleet.devices.values()].filter((device) => device.serving?.version === 2).length;
    expect(served).toBe(state === 'installing' ? 0 : 2);
    await rig.controller.act(id, 'rollback', OPERATOR);
    expect(await rig.until(id, 'rolled-back')).toBe('rolled-back');
    for (const device of rig.fleet.devices.values()) expect(device.serving?.version).toBe(1);
  });

  it.each(STATES)('%s: a gate that cannot be computed pauses it; after a resume it goes on', async (state) => {
    const { rig, id } = await at(state);
    rig.evidence.broken = true;
    await rig.step();
    expect((await rig.store.read(id)).state).toBe('paused');
    expect((await rig.chain(id)).at(-1)).toBe('gate-error -> paused');
    expect((await rig.store.decisions(id)).at(-1)?.reason).toContain('the figures cannot be read');
    rig.evidence.broken = false;
    rig.evidence.canary = 10;
    await rig.controller.act(id, 'resume', OPERATOR);
    expect(await rig.until(id, 'completed')).toBe('completed');
  });

  it.each(STATES)('%s: an operator pauses and resumes; meanwhile nobody new is told', async (state) => {
    const { rig, id } = await at(state);
    await rig.controller.act(id, 'pause', OPERATOR);
    const told = [...rig.fleet.devices.values()].reduce((sum, device) => sum + device.told.length, 0);
    for (let i = 0; i < 30; i++) await rig.step(minutes(10));
    expect([...rig.fleet.devices.values()].reduce((sum, device) => sum + device.told.length, 0)).toBe(told);
    rig.evidence.canary = 10;
    await rig.controller.act(id, 'resume', OPERATOR);
    expect(await rig.until(id, 'completed')).toBe('completed');
  });
});

describe('evidence that does not come', () => {
  it('pauses at the deadline and never passes', async () => {
    const rig = new Rig(40);
    rig.evidence.canary = undefined;
    const { id } = await rig.controller.create(documentOf(), OPERATOR);
    expect(await rig.until(id, 'paused')).toBe('paused');
    const last = (await rig.store.decisions(id)).at(-1);
    expect([last?.event, last?.reason]).toEqual(['deadline', 'the deadline of 4h passed: errors: nothing was reported']);
  });

  it('is asked for in numbers too', async () => {
    const rig = new Rig(40);
    const { id } = await rig.controller.create(documentOf({ evidence: { predictions: 1e9 } }), OPERATOR);
    await rig.until(id, 'paused');
    expect((await rig.store.decisions(id)).at(-1)?.reason).toContain('20000 of 1000000000 predictions');
  });
});

describe('a device that was away', () => {
  it('for all of it hears the newest decision only', async () => {
    const rig = new Rig(40);
    const { id, plan } = await rig.controller.create(documentOf({ silent: { after: '30m', as: 'left-out' } }), OPERATOR);
    const away = rig.fleet.get(plan.waves[0]?.devices[0] ?? '');
    away.silent = true;
    rig.evidence.canary = undefined;
    await rig.until(id, 'evaluating');
    rig.evidence.canary = 100;
    await rig.until(id, 'rolled-back');
    expect((await rig.store.devices(id)).find((row) => row.device === away.id)?.status).toBe('unproven');
    away.silent = false;
    await rig.step();
    expect(away.wish?.target?.version).toBe(1);
    expect(away.serving?.version).toBe(1);
  });
});

describe('waves that nobody new is in', () => {
  it('pass one after the other in one look, however many there are', async () => {
    const rig = new Rig(20);
    const quick = (percent: string) => ({ percent, gates: [], evidence: { predictions: 1 } });
    const waves = [...['1%', '2%', '3%', '4%'].map(quick), '100%'];
    const { id } = await rig.controller.create(documentOf({ bake: '0s', waves }), OPERATOR);
    expect((await rig.store.read(id)).plan.waves.slice(0, 4).map(({ devices }) => devices.length)).toEqual([1, 0, 0, 0]);
    await rig.step();
    const passed = (await rig.store.decisions(id)).filter((decision) => decision.event === 'wave-passed');
    expect(passed.map((decision) => decision.wave)).toEqual([0, 1, 2, 3]);
    expect(rig.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
    expect(await rig.until(id, 'completed')).toBe('completed');
  });
});

describe('two rollouts of one model', () => {
  it('are refused on the same devices, or the newer supersedes and knows what to go back to', async () => {
    const rig = new Rig(40);
    const first = await rig.controller.create(documentOf(), OPERATOR);
    await rig.until(first.id, 'baking');
    const second = documentOf({ version: 3 });
    await expect(rig.controller.create(second, OPERATOR)).rejects.toMatchObject({
      code: 'ROLLOUT_OVERLAP',
      details: { rollout: first.id },
    });
    const { id } = await rig.controller.create(second, OPERATOR, { supersede: true });
    expect((await rig.store.read(first.id)).state).toBe('superseded');
    await rig.until(id, 'baking');
    await rig.controller.act(id, 'rollback', OPERATOR);
    await rig.until(id, 'rolled-back');
    const back = (await rig.store.devices(id)).filter((row) => row.status === 'reverted');
    expect(back.length).toBeGreaterThan(0);
    for (const row of back) expect(rig.fleet.get(row.device).serving?.version).toBe(1);
  });

  it('run side by side on different devices', async () => {
    const rig = new Rig(40, (i) => ({ site: i % 2 === 0 ? 'a' : 'b' }));
    const a = await rig.controller.create(documentOf({ cohort: 'site=a' }), OPERATOR);
    const b = await rig.controller.create(documentOf({ cohort: 'site=b', version: 3 }), OPERATOR);
    await rig.until(a.id, 'completed');
    expect(await rig.until(b.id, 'completed')).toBe('completed');
  });
});

describe('a retry', () => {
  it('tells the devices that failed again, under a new attempt', async () => {
    const rig = new Rig(40);
    const broken = rig.fleet.get('device-7');
    broken.failing = true;
    const { id } = await rig.controller.create(documentOf({ waves: ['100%'], reserve: '0%', gates: [{ gate: 'install' }] }), OPERATOR);
    await rig.until(id, 'completed');
    const failed = (await rig.store.devices(id)).find((row) => row.device === broken.id);
    expect([failed?.status, failed?.error?.code]).toEqual(['failed', 'GOLDEN_MISMATCH']);
    broken.failing = false;
    await rig.controller.act(id, 'retry', OPERATOR);
    expect(await rig.until(id, 'completed')).toBe('completed');
    expect(broken.told.map((wish) => wish.attempt - (broken.told[0]?.attempt ?? 0))).toEqual([0, 1]);
    expect(broken.serving?.version).toBe(2);
  });
});

describe('a plan', () => {
  it('names the very devices that a rollout created from it tells, and others for another version', async () => {
    const rig = new Rig(40);
    const { plan: planned } = await rig.controller.plan(documentOf());
    const { plan } = await rig.controller.create(documentOf(), OPERATOR);
    expect(plan).toEqual(planned);
    const { plan: other } = await rig.controller.plan(documentOf({ version: 3 }));
    expect(other.waves[0]?.devices).not.toEqual(planned.waves[0]?.devices);
  });
});

describe('what cannot be done', () => {
  it('is refused with the states in which it can', async () => {
    const rig = new Rig(40);
    const { id } = await rig.controller.create(documentOf(), OPERATOR, { draft: true });
    await expect(rig.controller.act(id, 'pause', OPERATOR)).rejects.toMatchObject({ code: 'ROLLOUT_STATE', details: { state: 'draft' } });
    await rig.controller.act(id, 'start', OPERATOR);
    expect(await rig.until(id, 'completed')).toBe('completed');
  });

  it('is a cohort without a device that can run the version', async () => {
    const rig = new Rig(0);
    await expect(rig.controller.create(documentOf(), OPERATOR)).rejects.toMatchObject({ code: 'ROLLOUT_EMPTY' });
  });
});
