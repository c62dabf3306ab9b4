import { describe, expect, it } from 'vitest';
import { parseSelector } from '#hub/fleet/decide/selector.js';
import { planRollout, type PlanDevice, waveOfJoiner } from '#hub/rollouts/decide/plan.js';
import { type DeviceId, deviceIdSchema, type Labels } from '#shared/protocol/device.js';
import { documentOf } from './rig.js';

function device(id: string, labels: Labels = {}, changes: Partial<PlanDevice['capabilities']> = {}): PlanDevice {
  const capabilities = {
    os: 'linux',
    arch: 'x64',
    cpus: 4,
    memoryBytes: 1e9,
    providers: ['cpu'],
    runtime: { name: 'onnxruntime', version: '1.30.0' },
  };
  return { id: deviceIdSchema.parse(id), labels, capabilities: { ...capabilities, ...changes } };
}

const FLEET = Array.from({ length: 100 }, (_, i) => device(`device-${i}`, { site: i < 50 ? 'lab' : 'field' }));
const CPU = [{ name: 'int8', opset: 17, requires: { providers: ['cpu'] } }];

function plan(document: Record<string, unknown>, devices: readonly PlanDevice[] = FLEET, variants: typeof CPU = CPU) {
  const selectorOf = (cohort: string | { saved: string }) => parseSelector(typeof cohort === 'string' ? cohort : 'site=lab');
  return planRollout({ document: documentOf(document), seed: 's', devices, runnable: { variants }, selectorOf });
}

describe('planRollout', () => {
  it('cuts a cohort into waves that nest, and keeps a control to the end', () => {
    const { waves } = plan({ waves: ['5%', { count: 20 }, '50%', '100%'] });
    expect(waves.map((wave) => [wave.name, wave.devices.length])).toEqual([
      ['5%', 5],
      ['20 devices', 15],
      ['50%', 30],
      ['100%', 45],
      ['reserve', 5],
    ]);
    expect(new Set(waves.flatMap((wave) => wave.devices)).size).toBe(100);
    expect(waves.at(-1)?.gates.map((gate) => gate.gate)).toEqual(['install']);
  });

  it('says once that nobody is there or able, and names waves as the document does', () => {
    const waves = [{ count: 3, name: 'first' }, '100%'];
    expect(plan({ waves }, []).warnings).toEqual(['no device is in the cohort; those that join later are told']);
    const incapable = [device('old', {}, { runtime: { name: 'onnxruntime', version: '1.9.1' } })];
    expect(plan({ waves }, incapable).warnings).toEqual(['no device of the cohort can take part']);
    expect(plan({ waves: ['50%', { percent: '50%', name: 'same' }] }).warnings).toContain('wave "same" has no devices of its own');
  });

  it('leaves out runtimes that do not know the opset, and names those of which that is not known', () => {
    const runtime = (version: string, name = 'onnxruntime') =>
      device(`v${version.replaceAll('.', '-')}`, {}, { runtime: { name, version } });
    const devices = [runtime('1.20.2'), runtime('1.21.0'), runtime('1.30.0'), runtime('7.2.0', 'tract')];
    const of = (opset: number) => plan({ waves: ['100%'] }, devices, [{ name: 'fp32', opset, requires: { providers: ['cpu'] } }]);
    const seen = of(23);
    expect(seen.incapable).toEqual([{ device: 'v1-20-2', why: 'fp32: opset 23 needs runtime 1.21 or newer, the device has 1.20.2' }]);
    expect(seen.warnings[0]).toBe('it is not known whether the runtime knows opset 23 on v1-21-0 (1.21.0), v7-2-0 (7.2.0)');
    expect(of(27).warnings[0]).toMatch(/opset 27 on v1-21-0 .* v1-30-0 \(1\.30\.0\)/);
    expect(of(21)).toMatchObject({ incapable: [], devices: 4 });
    expect(of(21).warnings[0]).toBe('it is not known whether the runtime knows opset 21 on v7-2-0 (7.2.0)');
  });

  it('has waves by cohort, and none for whom the cohort does not name', () => {
    const { waves } = plan({ cohort: 'site', waves: [{ cohort: { saved: 'lab' } }, { percent: '60%', name: 'more' }] });
    expect(waves[0]?.devices).toHaveLength(50);
    expect(waves.map((wave) => wave.name)).toEqual(['lab', 'more']);
    expect(waves[1]?.devices.every((id) => Number(id.slice(7)) >= 50)).toBe(true);
  });

  it('keeps nobody back where nothing is compared', () => {
    expect(plan({ gates: [{ gate: 'install' }] }).waves.map((wave) => wave.devices.length)).toEqual([5, 95]);
  });

  it('shows devices that cannot run it before the start', () => {
    const devices = [
      device('gpu-only', {}, { providers: ['cuda'] }),
      device('small', {}, { memoryBytes: 10 }),
      device('old', {}, { runtime: { name: 'onnxruntime', version: '1.9.1' } }),
      device('fine'),
    ];
    const variants = [
      { name: 'fp16', opset: 17, requires: { providers: ['webgpu'] } },
      { name: 'int8', opset: 17, requires: { providers: ['cpu'], memoryBytes: 1e6 } },
    ];
    const { incapable, waves } = plan({}, devices, variants);
    expect(incapable.map(({ device: id, why }) => [id, why])).toEqual([
      ['small', 'fp16: needs webgpu, the device has cpu; int8: needs 1000000 bytes of memory, the device has 10'],
      ['old', 'fp16: needs webgpu, the device has cpu; int8: opset 17 needs runtime 1.12, the device has 1.9.1'],
    ]);
    expect(waves.flatMap((wave) => wave.devices).toSorted()).toEqual(['fine', 'gpu-only']);
  });

  it('says when a wave leaves nobody to compare with', () => {
    expect(plan({ reserve: '0%' }).warnings).toEqual([
      'wave "100%" leaves no device on the old version: its comparing gates cannot pass and it would pause at its deadline',
    ]);
    expect(plan({}).warnings).toEqual([]);
  });

  it('puts a device that joins into the wave its position belongs to', () => {
    const whole = plan({ waves: ['10%', '50%', '100%'] });
    const of = (id: DeviceId): number => whole.waves.findIndex((wave) => wave.devices.includes(id));
    for (const known of FLEET) expect(waveOfJoiner(whole, known, parseSelector)).toBe(of(known.id));
    const labs = plan({ waves: [{ cohort: 'site=lab' }] });
    expect(waveOfJoiner(labs, device('new', { site: 'lab' }), parseSelector)).toBe(0);
    expect(waveOfJoiner(labs, device('new', { site: 'field' }), parseSelector)).toBeUndefined();
  });
});

describe('a version to run beside the old one', () => {
  it('is not for devices that run nothing, or this very version', () => {
    const devices = [device('none'), device('same'), device('old')];
    const current = new Map([
      [deviceIdSchema.parse('same'), { version: 2 }],
      [deviceIdSchema.parse('old'), { version: 1 }],
    ]);
    const input = {
      document: documentOf({ strategy: 'shadow', waves: ['100%'] }),
      seed: 's',
      devices,
      runnable: { variants: CPU },
      current,
    };
    const { waves, incapable, devices: able } = planRollout({ ...input, selectorOf: () => parseSelector('') });
    expect([able, waves.map((wave) => wave.devices)]).toEqual([1, [['old']]]);
    expect(incapable).toEqual([
      { device: 'none', why: 'it runs no version of vad for a shadow to run beside' },
      { device: 'same', why: 'it runs version 2 already: there is nothing to compare it with' },
    ]);
  });
});
