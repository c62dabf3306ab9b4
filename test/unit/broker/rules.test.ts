import { describe, expect, it } from 'vitest';
import { allowed, type Identity, type Ruling, type TopicAction } from '#hub/broker/decide/topic-rules.js';
import { devicePrefix, shardOf } from '#shared/protocol/topics.js';

const device: Identity = { kind: 'device', fleet: 'f', device: 'd1' };
const own = devicePrefix('f', 'd1');
const other = devicePrefix('f', 'd2');
const digest = 'a'.repeat(64);

const rows: readonly (readonly [TopicAction, string, Ruling])[] = [
  ['publish', `${own}/telemetry`, true],
  ['publish', `${own}/event`, true],
  ['publish', `${own}/fetch`, true],
  ['publish', `${own}/reported`, true],
  ['publish-retained', `${own}/reported`, true],
  ['publish-retained', `${own}/presence`, true],
  ['publish-retained', `${own}/telemetry`, false],
  ['publish-retained', `${own}/event`, false],
  ['will', `${own}/presence`, true],
  ['will', `${own}/reported`, false],
  ['will', `${other}/presence`, false],
  ['publish', `${own}/desired`, false],
  ['publish-retained', `${own}/desired`, false],
  ['publish', `${own}/cmd`, false],
  ['publish', `${own}/ack`, false],
  ['publish', `${other}/telemetry`, false],
  ['publish', `skerry/v1/f/00/d1/telemetry`, shardOf('d1') === '00'],
  ['publish', `skerry/v1/g/${shardOf('d1')}/d1/telemetry`, false],
  ['publish', `skerry/v1/f/trust/timestamp.json`, false],
  ['publish', `skerry/v1/f/blob/${digest}/0`, false],
  ['publish', `${own}/telemetry/more`, false],
  ['publish', `${own}/+`, false],
  ['publish', '$SYS/x', false],
  ['subscribe', `${own}/desired`, true],
  ['subscribe', `${own}/cmd`, true],
  ['subscribe', `${own}/ack`, true],
  ['subscribe', `${own}/reported`, false],
  ['subscribe', `${own}/+`, false],
  ['subscribe', `${own}/#`, false],
  ['subscribe', `${other}/desired`, false],
  ['subscribe', `skerry/v1/f/+/+/desired`, false],
  ['subscribe', `skerry/v1/f/${shardOf('d1')}/+/desired`, false],
  ['subscribe', 'skerry/v1/f/trust/+', true],
  ['subscribe', 'skerry/v1/f/trust/1.root.json', true],
  ['subscribe', 'skerry/v1/f/trust/#', false],
  ['subscribe', 'skerry/v1/f/blob/#', false],
  ['subscribe', `skerry/v1/f/blob/${digest}/+`, { blob: digest }],
  ['subscribe', `skerry/v1/f/blob/${digest}/7`, { blob: digest }],
  ['subscribe', 'skerry/v1/f/blob/+/+', false],
  ['subscribe', 'skerry/v1/g/trust/+', false],
  ['subscribe', '#', false],
  ['subscribe', '+/#', false],
  ['subscribe', 'skerry/#', false],
  ['subscribe', '$SYS/#', false],
  ['subscribe', '$share/x/skerry/v1/f/trust/+', false],
];

describe('topic rules of a device', () => {
  it.each(rows)('%s %s -> %s', (action, topic, expected) => {
    expect(allowed(device, action, topic)).toEqual(expected);
  });
});

describe('topic rules of the hub', () => {
  const hub: Identity = { kind: 'hub', fleet: 'f' };
  it.each([
    ['publish-retained', `${own}/desired`, true],
    ['subscribe', 'skerry/v1/f/+/+/telemetry', true],
    ['publish', 'skerry/v1/f/trust/+', false],
    ['publish', 'skerry/v1/g/trust/index', false],
    ['subscribe', 'skerry/v1/#', false],
    ['subscribe', '#', false],
  ] as const)('%s %s -> %s', (action, topic, expected) => {
    expect(allowed(hub, action, topic)).toBe(expected);
  });
});
