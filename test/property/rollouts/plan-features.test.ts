import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseSelector } from '#hub/fleet/decide/selector.js';
import { readRollout } from '#hub/rollouts/document.js';
import { planRollout, type PlanDevice, waveOfJoiner } from '#hub/rollouts/decide/plan.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { CAPABILITIES } from '../../kit/messages.js';

const names = fc.subarray(['a', 'b', 'c', 'd']);
const fleets = fc.array(fc.option(names, { nil: undefined }), { maxLength: 12 });
const documents = fc.constantFrom(
  { waves: ['100%'] },
  { waves: ['10%', '50%', '100%'] },
  { waves: [{ count: 1 }, '100%'], strategy: 'blue-green' },
  { waves: ['30%'], gates: [{ gate: 'install' }] },
);

function deviceOf(features: readonly string[] | undefined, index: number): PlanDevice {
  const { features: _, ...others } = CAPABILITIES;
  const capabilities = { ...others, ...(features && { features: [...features] }) };
  return { id: deviceIdSchema.parse(`device-${index}`), labels: {}, capabilities };
}

function planOf(document: object, requires: readonly string[], devices: readonly PlanDevice[]) {
  const runnable = { requires: [...requires], variants: [{ name: 'fp32', opset: 17, requires: { providers: ['cpu'] } }] };
  return planRollout({
    document: readRollout({ model: 'm', version: 2, cohort: '', ...document }),
    seed: 's',
    devices,
    runnable,
    selectorOf: () => parseSelector(''),
  });
}

it('a plan names exactly the devices that lack a feature, with what they lack, and tells none of them', () => {
  fc.assert(
    fc.property(documents, names, fleets, (document, requires, fleet) => {
      const devices = fleet.map(deviceOf);
      const plan = planOf(document, requires, devices);
      const lacking = fleet.map((has) => requires.filter((feature) => !(has ?? []).includes(feature)));
      const expected = devices.flatMap(({ id }, index) => (lacking[index]?.length === 0 ? [] : [{ device: id, lacks: lacking[index] }]));
      expect(plan.incapable.map(({ device, lacks }) => ({ device, lacks }))).toEqual(expected);
      for (const { why, lacks } of plan.incapable) expect(why).toContain(lacks?.join(', '));
      const told = new Set(plan.waves.flatMap((wave) => wave.devices));
      for (const { device } of plan.incapable) expect(told.has(device)).toBe(false);
      expect(plan.devices).toBe(devices.length - expected.length);
    }),
  );
});

it('a device that got the features by its own update has a place in the plan that is under way, the one it has in a plan made anew', () => {
  fc.assert(
    fc.property(names, fleets, fc.nat(), (requires, fleet, pick) => {
      fc.pre(fleet.length > 0);
      const index = pick % fleet.length;
      const devices = fleet.map(deviceOf);
      const before = planOf({ waves: ['100%'], gates: [{ gate: 'install' }] }, requires, devices);
      const updated = devices.with(index, deviceOf(requires, index));
      const after = planOf({ waves: ['100%'], gates: [{ gate: 'install' }] }, requires, updated);
      const { id, labels } = deviceOf(requires, index);
      expect(waveOfJoiner(before, { id, labels }, parseSelector)).toBe(0);
      expect(after.incapable.map(({ device }) => device)).toEqual(before.incapable.map(({ device }) => device).filter((one) => one !== id));
      expect(after.waves[0]?.devices).toContain(id);
    }),
  );
});
