import { afterEach, describe, expect, it } from 'vitest';
import { readRollout } from '#hub/rollouts/document.js';
import { ROWS } from '#shared/signals/rows.js';
import type { Sums } from '#shared/signals/sums.js';
import { AGENT_MODEL } from '#shared/bundle/names.js';
import { RolloutHub } from '../../kit/rollout-hub.js';

const OPERATOR = { name: 'ada', role: 'operator', source: '192.0.2.7' } as const;

let world: RolloutHub | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

async function start(): Promise<RolloutHub> {
  const made = await RolloutHub.start(12, undefined, AGENT_MODEL);
  world = made;
  for (let i = 0; i < 6; i++) await made.predict(() => 0);
  return made;
}

const release = (version: number) =>
  readRollout({
    model: 'skerry-agent',
    version,
    cohort: '',
    waves: ['30%', '100%'],
    reserve: '20%',
    bake: '10m',
    gates: [{ gate: 'install' }, { gate: 'crashes', negligible: 2 }],
  });

const running = (made: RolloutHub): (number | undefined)[] => made.devices.map((device) => made.serving.get(device.id)?.version);

describe('a release of the agent on the hub itself', () => {
  it('goes to every device in waves, by signed statements, watched by what the devices report of themselves', async () => {
    const made = await start();
    const { id, plan } = await made.controller.create(release(2), OPERATOR);
    expect(plan.incapable).toEqual([]);
    expect(plan.waves.map((wave) => [wave.devices.length, wave.gates.map((gate) => gate.gate)])).toEqual([
      [4, ['install', 'crashes']],
      [5, ['install', 'crashes']],
      [3, ['install']],
    ]);
    expect(await made.run(id)).toBe('completed');
    await made.toldTruly();
    expect(new Set(running(made))).toEqual(new Set([2]));
  });

  it('that ends unasked is taken back: from devices of a package to that, from others to the release they ran', async () => {
    const made = await start();
    const crashing = (version: number) => (sums: Sums, runs: number) => {
      if (runs === version) sums.add(ROWS.crashes, 3);
    };
    const { id } = await made.controller.create(release(2), OPERATOR);
    expect(await made.run(id, undefined, crashing(2))).toBe('rolled-back');
    await made.toldTruly();
    expect((await made.store.decisions(id)).at(-2)?.reason).toMatch(/^crashes: /);
    expect(new Set(running(made))).toEqual(new Set([undefined]));

    const good = await made.controller.create(release(2), OPERATOR);
    expect(await made.run(good.id)).toBe('completed');
    const bad = await made.controller.create(release(3), OPERATOR);
    expect(await made.run(bad.id, undefined, crashing(3))).toBe('rolled-back');
    await made.toldTruly();
    expect(new Set(running(made))).toEqual(new Set([2]));
  });
});
