import { describe, expect, it } from 'vitest';
import { parseSelector } from '#hub/fleet/decide/selector.js';
import { whyIncapable } from '#hub/rollouts/decide/capability.js';
import { tookBack } from '#hub/rollouts/decide/devices.js';
import { readRollout } from '#hub/rollouts/document.js';
import { gateName } from '#hub/rollouts/gate-document.js';
import { currentTarget } from '#hub/rollouts/adapters/current-target.js';
import { planRollout } from '#hub/rollouts/decide/plan.js';
import type { RolloutDevice } from '#hub/rollouts/record.js';
import { digestOf } from '#shared/bundle/digest.js';
import { AGENT_MODEL, versionNumberSchema } from '#shared/bundle/names.js';
import { type Capabilities, deviceIdSchema } from '#shared/protocol/device.js';
import { coded } from '../../../kit/coded.js';

const version = (number: number) => versionNumberSchema.parse(number);
const DOCUMENT = { model: 'skerry-agent', version: 4, cohort: '', waves: ['20%', '100%'] };

function rolling(changes: Record<string, unknown>) {
  return () => readRollout({ ...DOCUMENT, ...changes });
}

function capabilities(changes: Partial<Capabilities> = {}): Capabilities {
  const runtime = { name: 'onnxruntime', version: '1.30.0' };
  const selfUpdate = { able: true };
  const features = ['kind-agent'];
  return { os: 'linux', arch: 'x64', cpus: 4, memoryBytes: 1e9, providers: ['cpu'], runtime, selfUpdate, features, ...changes };
}

const RELEASE = {
  kind: 'agent',
  takesOverFrom: version(3),
  variants: [
    { name: 'linux-arm64', platform: 'linux', arch: 'arm64' },
    { name: 'linux-x64', platform: 'linux', arch: 'x64' },
  ],
} as const;

describe('the rollout of a release of the agent', () => {
  it('watches whether it came up and how often it ended unasked, when it is not told what', () => {
    expect(readRollout(DOCUMENT).gates.map(gateName)).toEqual(['install', 'crashes']);
    expect(readRollout({ ...DOCUMENT, model: 'vad' }).gates.map(gateName)).toEqual(['install', 'errors', 'latency', 'crashes']);
  });

  it('may watch what the device itself needs', () => {
    const gates = [{ gate: 'memory' }, { gate: 'temperature' }, { gate: 'limit', of: 'crashes', atMost: 0.1, ruleOut: 0.5 }];
    expect(readRollout({ ...DOCUMENT, gates, evidence: { devices: 3 } }).gates).toHaveLength(3);
  });

  it.each(['blue-green', 'shadow', 'ab', { kind: 'shadow', share: 0.5 }])('cannot be %j', (strategy) => {
    expect(rolling({ strategy })).toThrow(coded('ROLLOUT_INVALID', 'a device runs one release of the agent'));
  });

  it.each([
    { gate: 'errors' },
    { gate: 'latency' },
    { gate: 'feedback' },
    { gate: 'drift' },
    { gate: 'golden' },
    { gate: 'metric', name: 'word_error_rate' },
    { gate: 'burn', objective: 0.99 },
    { gate: 'limit', of: 'errors', atMost: 0.1, ruleOut: 0.5 },
  ])('has no figures for the gate %j', (gate) => {
    expect(rolling({ gates: [gate] })).toThrow(coded('ROLLOUT_INVALID', /gates\.0: ".*" looks at predictions/));
    expect(rolling({ waves: [{ percent: '100%', gates: [gate] }] })).toThrow(coded('ROLLOUT_INVALID', 'waves.0.gates.0'));
  });

  it('has no predictions to wait for', () => {
    expect(rolling({ evidence: { predictions: 10 } })).toThrow(coded('ROLLOUT_INVALID', 'a release of the agent answers no predictions'));
  });

  it('goes back to the release a device ran, and to none where it ran the one of its package', () => {
    const ran = { version: version(3), manifest: digestOf(new Uint8Array([3])) };
    expect(currentTarget(AGENT_MODEL, ran, undefined)).toEqual(ran);
    expect(currentTarget(AGENT_MODEL, undefined, undefined)).toBeUndefined();
  });
});

describe('a device that went back from a release', () => {
  const row = (code: string, changes: Partial<RolloutDevice> = {}): RolloutDevice => {
    const device = deviceIdSchema.parse('cam-1');
    return { device, wave: 0, status: 'failed', toldAt: 0, previous: null, error: { code, message: '' }, released: null, ...changes };
  };

  it.each([
    ['UPDATE_EXITED', 1],
    ['UPDATE_CRASH_LOOP', 1],
    ['UPDATE_MODELS_FAILED', 1],
    ['UPDATE_NOT_CONNECTED', 0],
    ['UPDATE_UNSUPPORTED', 0],
    ['UPDATE_NOT_STARTED', 0],
    ['UPDATE_ENDED_OTHERWISE', 0],
    ['NO_UPDATE_ENDED', 0],
    ['MODELS_CRASHED', 1],
    ['MODELS_GUARD_GOLDEN', 1],
    ['MODELS_NOT_TRUSTED', 0],
  ])('with %s counts %i towards those that judged it', (code, counted) => {
    expect(tookBack([row(code)], 0)).toBe(counted);
  });

  it('counts in its wave, and as long as it is there', () => {
    const rows = [row('UPDATE_EXITED'), row('UPDATE_EXITED', { wave: 1 }), row('UPDATE_EXITED', { status: 'reverting' })];
    expect([tookBack(rows, 0), tookBack(rows, 1)]).toEqual([1, 1]);
  });
});

describe('a device that is to replace its agent', () => {
  it.each([
    ['of another processor', { arch: 'riscv64' }, 'the device is linux-riscv64, the release is for linux-arm64, linux-x64'],
    ['of another system', { os: 'darwin' }, 'the device is darwin-x64, the release is for linux-arm64, linux-x64'],
    [
      'run from source',
      { selfUpdate: { able: false, reason: 'it runs from source' } },
      'the agent cannot replace itself: it runs from source',
    ],
    ['that is too old', { selfUpdate: { able: true, release: version(2) } }, 'takes over from release 3, the device runs release 2'],
    ['of a package', { selfUpdate: { able: true } }, 'takes over from release 3, the device runs the one of its package'],
  ])('cannot when it is %s', (_, changes, why) => {
    expect(whyIncapable(RELEASE, capabilities(changes))).toEqual({ why });
  });

  it('cannot when it says nothing of it, as agents before there were releases', () => {
    const { selfUpdate: _, ...before } = capabilities();
    expect(whyIncapable(RELEASE, before)?.why).toBe('the agent of the device does not say that it can replace itself');
  });

  it('can from the oldest release on that the new one takes over from', () => {
    for (const release of [3, 4, 9]) {
      expect(whyIncapable(RELEASE, capabilities({ selfUpdate: { able: true, release: version(release) } }))).toBeUndefined();
    }
  });

  it('is shown before the start', () => {
    const devices = [
      {
        id: deviceIdSchema.parse('source'),
        labels: {},
        capabilities: capabilities({ selfUpdate: { able: false, reason: 'runs from source' } }),
      },
      {
        id: deviceIdSchema.parse('board'),
        labels: {},
        capabilities: capabilities({ arch: 'arm64', selfUpdate: { able: true, release: version(3) } }),
      },
    ];
    const selectorOf = () => parseSelector('');
    const plan = planRollout({ document: readRollout(DOCUMENT), seed: 's', devices, runnable: RELEASE, selectorOf });
    expect(plan.incapable).toEqual([{ device: 'source', why: 'the agent cannot replace itself: runs from source' }]);
    expect(plan.waves.flatMap((wave) => wave.devices)).toEqual(['board']);
  });
});
