import { describe, expect, it } from 'vitest';
import { readRollout } from '#hub/rollouts/document.js';
import { gateName } from '#hub/rollouts/gate-document.js';
import { ruleOf } from '#hub/rollouts/decide/gate-rule.js';
import { ROWS } from '#shared/signals/rows.js';
import { hours, minutes } from '#shared/kernel/time.js';
import { documentOf } from './rig.js';
import { parseRollout } from '../../../kit/rollout-text.js';

const TEXT = `
model: vad
version: 3
cohort: site=lab,tier in (gold,silver)
waves:
  - 1%
  - { count: 3, bake: 1h30m, approval: operator }
  - { cohort: { saved: harbour }, gates: [{ gate: install }] }
  - percent: 100%
    evidence: { predictions: 1000 }
evidence: { devices: 3 }
gates:
  - gate: errors
    tolerate: 1.5
  - { gate: latency, quantile: 0.99 }
  - { gate: metric, name: word_error_rate }
  - { gate: burn, objective: 0.999 }
schedule:
  start: 2026-12-01T22:00:00+01:00
  windows:
    - { cron: "0 22 * * 1-5", lasts: 4h, timeZone: Europe/Berlin }
silent: { after: 15m, as: left-out }
`;

describe('parseRollout', () => {
  it('reads a document and fills in what was left out', () => {
    const document = parseRollout(TEXT);
    expect(document.waves.map(({ percent, count, cohort, bake }) => [percent, count, cohort, bake])).toEqual([
      [0.01, undefined, undefined, undefined],
      [undefined, 3, undefined, minutes(90)],
      [undefined, undefined, { saved: 'harbour' }, undefined],
      [1, undefined, undefined, undefined],
    ]);
    expect(document.gates.map(gateName)).toEqual(['errors', 'latency', 'metric:word_error_rate', 'burn']);
    expect(document.gates[0]).toEqual({ gate: 'errors', tolerate: 1.5, ruleOut: 2, negligible: 0.0005 });
    expect(document).toMatchObject({
      falseAlarms: 0.01,
      deadline: hours(24),
      onFailure: 'rollback-all',
      silent: { after: minutes(15), as: 'left-out' },
    });
  });

  it('watches installs, errors, latency and crashes when it is not told what', () => {
    expect(readRollout({ model: 'vad', version: 1, cohort: '', waves: ['100%'] }).gates.map(gateName)).toEqual([
      'install',
      'errors',
      'latency',
      'crashes',
    ]);
  });

  it('lists every bad path at once', () => {
    const bad = {
      model: 'Vad!',
      version: 0,
      cohort: 'site=lab,,',
      waves: ['0%', { percent: '5%', count: 2 }, { count: 3, bake: 'soon' }],
      gates: [{ gate: 'errors', tolerate: 'x' }, { gate: 'errors' }, { gate: 'latency', tolerate: 3, ruleOut: 2 }, { gate: 'vibes' }],
      schedule: { windows: [{ cron: '61 * * * *', lasts: '4h', timeZone: 'Mars/Base' }] },
      falseAlarm: 0.01,
    };
    let paths: string[] = [];
    try {
      readRollout(bad);
    } catch (thrown) {
      const details = (thrown as { details: { issues: { path: string }[] } }).details;
      paths = details.issues.map((issue) => issue.path);
    }
    expect(paths).toEqual(
      expect.arrayContaining([
        'model',
        'version',
        'cohort',
        'waves.0.percent',
        'waves.2.bake',
        'gates.0.tolerate',
        'gates.3.gate',
        'schedule.windows.0.cron',
        'schedule.windows.0.timeZone',
      ]),
    );
  });

  it.each([
    ['model: [', 'not YAML'],
    ['just text', 'the rollout is not valid'],
    ['{ model: vad, version: 1, cohort: a=b, waves: [x] }', 'waves.0.percent: a percentage such as "5%", or a number from 0 to 1'],
    ['{ model: vad, version: 1, cohort: 5, waves: [5%] }', 'cohort: a label selector such as "site=lab", or { saved: NAME }'],
    ['{ model: vad, version: 1, cohort: a in, waves: [5%] }', 'cohort: the label selector is not valid'],
    ['model: vad\nmodel: vad', 'not YAML'],
  ])('refuses %j', (text, message) => {
    expect(() => parseRollout(text)).toThrow(
      expect.objectContaining({ code: 'ROLLOUT_INVALID', message: expect.stringContaining(message) as string }),
    );
  });

  it('does not let a small text grow', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'.split('').map((name, i) => `${name}: &${name} [${`*${'abcdefg'.charAt(i)},`.repeat(9)}]`),
    ].join('\n');
    expect(() => parseRollout(bomb)).toThrow(expect.objectContaining({ code: 'ROLLOUT_INVALID' }));
  });
});

describe('limit gates', () => {
  const read = (gate: Record<string, unknown>): readonly unknown[] => documentOf({ gates: [gate] }).gates;

  it('are on rates, on quantiles, and on what the application reports', () => {
    expect(read({ gate: 'limit', of: 'crashes', atMost: 0.5 })).toHaveLength(1);
    const rules = documentOf({
      gates: [
        { gate: 'limit', of: 'temperature', atMost: 85 },
        { gate: 'limit', of: 'metric', name: 'fps', atLeast: 20 },
        { gate: 'limit', of: 'golden', atMost: 0.1 },
      ],
    }).gates.map((gate) => [gateName(gate), ruleOf(gate)]);
    expect(rules).toEqual([
      [
        'limit:temperature',
        { test: 'level', signal: ROWS.temperature, name: undefined, quantile: 0.95, side: 'above', limit: 85, ruleOut: 93.5 },
      ],
      ['limit:metric:fps', { test: 'level', signal: ROWS.metric, name: 'fps', quantile: 0.05, side: 'below', limit: 20, ruleOut: 18 }],
      ['limit:golden', { test: 'limit', signal: ROWS.golden, atMost: 0.1, ruleOut: 0.2, isOnShadows: false }],
    ]);
  });

  it('say what is wrong with them', () => {
    for (const gate of [
      { gate: 'limit', of: 'speed', atMost: 1 },
      { gate: 'limit', of: 'latency', atLeast: 1, atMost: 2 },
      { gate: 'limit', of: 'errors', atLeast: 1 },
      { gate: 'limit', of: 'uptime', atMost: 1 },
      { gate: 'latency', name: 'fps' },
      { gate: 'limit', of: 'latency', atMost: 50, ruleOut: 40 },
      { gate: 'limit', of: 'metric', name: 'fps' },
      { gate: 'limit', of: 'metric', name: 'fps', atMost: 1, atLeast: 1 },
      { gate: 'limit', of: 'metric', name: 'fps', atLeast: 20, ruleOut: 30 },
      { gate: 'limit', of: 'metric', name: 'fps', atMost: 0 },
      { gate: 'burn', objective: 0.99, windows: [{ long: '5m', short: '1h', factor: 2 }] },
      { gate: 'burn', objective: 0.99, windows: [] },
      { gate: 'errors > 5' },
    ]) {
      expect(() => read(gate), JSON.stringify(gate)).toThrow(expect.objectContaining({ code: 'ROLLOUT_INVALID' }) as Error);
    }
  });
});
