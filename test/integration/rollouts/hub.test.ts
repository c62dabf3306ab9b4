import { afterEach, describe, expect, it } from 'vitest';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS } from '#shared/signals/table.js';
import { readRollout } from '#hub/rollouts/document.js';
import { versionNumberSchema } from '#shared/bundle/names.js';
import { RolloutHub } from '../../kit/rollout-hub.js';

const OPERATOR = { name: 'ada', role: 'operator', source: '192.0.2.7' } as const;

let world: RolloutHub | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

async function start(): Promise<RolloutHub> {
  const made = await RolloutHub.start(12);
  world = made;
  await made.hub.fleet.deployments.create({ model: 'vad', version: 1, selector: '', retry: false, createdBy: 'ada' });
  await made.toldTruly();
  await made.react();
  for (let i = 0; i < 6; i++) await made.predict(() => 0.02);
  return made;
}

const DOCUMENT = readRollout({
  model: 'vad',
  version: 2,
  cohort: '',
  waves: ['30%', '100%'],
  reserve: '20%',
  bake: '10m',
  gates: [{ gate: 'install' }, { gate: 'errors' }, { gate: 'crashes', negligible: 2 }],
});

describe('a rollout on the hub itself', () => {
  it('takes a good version to every device, by signed statements and from stored telemetry', async () => {
    const made = await start();
    const { id, plan } = await made.controller.create(DOCUMENT, OPERATOR);
    expect(plan.waves.map((wave) => wave.devices.length)).toEqual([4, 5, 3]);
    expect(await made.run(id, () => 0.02)).toBe('completed');
    await made.toldTruly();
    for (const { version } of made.serving.values()) expect(version).toBe(2);
    const rows = await made.hub.db.selectFrom('desired_models').select(['version', 'source']).execute();
    expect(new Set(rows.map((row) => `${row.version} ${row.source}`))).toEqual(new Set(['2 deployment:2']));
  });

  it('takes a bad one back from the devices that had it, and the others never hear of it', async () => {
    const made = await start();
    const { id, plan } = await made.controller.create(DOCUMENT, OPERATOR);
    expect(await made.run(id, (version) => (version === 2 ? 0.08 : 0.02))).toBe('rolled-back');
    await made.toldTruly();
    for (const { version } of made.serving.values()) expect(version).toBe(1);
    const decisions = await made.store.decisions(id);
    // It may be caught while the wave is still being installed.
    const events = decisions.map((decision) => decision.event).filter((event) => event !== 'all-decided');
    expect(events).toEqual(['begin-wave', 'gate-failed-rollback', 'reverted']);
    expect(decisions.at(-2)?.reason).toMatch(/^errors: /);
    const back = (await made.store.devices(id)).filter((row) => row.status === 'reverted').map((row) => row.device);
    expect(back.toSorted()).toEqual([...(plan.waves[0]?.devices ?? [])].toSorted());
    expect(versionNumberSchema.parse(made.serving.get('cam-0')?.version)).toBe(1);
  });

  /** Callers of the version begin to send what it does not take. */
  const callersErr =
    (erring: number) =>
    (sums: Sums, version: number): void => {
      if (version !== erring) return;
      sums.merge(Sums.ofWindow(SIGNALS, { predictions: 400, errors: { TENSOR_SHAPE: 300, INFERENCE_INPUT_REFUSED: 100 } }));
    };

  it('does not hold against a version what callers did wrong, and shows it beside the failures', async () => {
    const made = await start();
    const { id, plan } = await made.controller.create(DOCUMENT, OPERATOR);
    expect(plan.narrowed).toBeUndefined();
    expect(await made.run(id, () => 0.02, callersErr(2))).toBe('completed');
    const outcome = await made.controller.outcome(id);
    expect(outcome.new.failed / outcome.new.predictions).toBeLessThan(0.04);
  });

  it('holds it against a version whose own inputs changed, as the plan says beforehand', async () => {
    const made = await start();
    await made.hub.addVersion('vad', 4, { bytes: new Uint8Array(1_000).fill(4), chunk: 400 }, [2]);
    const { id, plan } = await made.controller.create({ ...DOCUMENT, version: versionNumberSchema.parse(4) }, OPERATOR);
    expect(plan.narrowed).toBe('input x FP32 [1] became x FP32 [2] (against version 1)');
    expect(plan.warnings).toContainEqual(expect.stringContaining('refused requests count as failed'));
    expect(await made.run(id, () => 0.02, callersErr(4))).toBe('rolled-back');
  });
});
