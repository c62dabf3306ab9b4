import { expect, test } from 'vitest';
import { CAPABILITIES, roleMay } from '#hub/kernel/roles.js';
import { defineRoute } from '#hub/api/define-route.js';
import { FailureLimiter } from '#hub/kernel/failure-limiter.js';
import { LiveBus } from '#hub/kernel/live-bus.js';
import { coded } from '../../kit/coded.js';
import { recordingLogger } from '../../kit/recorder.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

test('an admin may do everything, and reading is all a viewer may do', () => {
  const capabilities = Object.keys(CAPABILITIES) as (keyof typeof CAPABILITIES)[];
  expect(capabilities.filter((capability) => !roleMay('admin', capability))).toEqual([]);
  expect(capabilities.filter((capability) => roleMay('viewer', capability) && !capability.endsWith(':read'))).toEqual([]);
});

test('failures are counted by address, for a window, in bounded memory', async () => {
  const clock = new VirtualClock();
  const limiter = new FailureLimiter(clock, { failures: 3, window: 1_000, addresses: 2 });
  for (const _attempt of [1, 2]) limiter.failed('a');
  expect(limiter.waitOf('a')).toBe(0);
  limiter.failed('a');
  expect([limiter.waitOf('a'), limiter.waitOf('b')]).toEqual([1_000, 0]);
  await clock.advance(400);
  expect(limiter.waitOf('a')).toBe(600);
  await clock.advance(600);
  expect(limiter.waitOf('a')).toBe(0);
  limiter.failed('a');
  expect(limiter.waitOf('a')).toBe(0);
  for (const address of ['b', 'b', 'b', 'c']) limiter.failed(address);
  expect(limiter.waitOf('b')).toBe(1_000);
  limiter.failed('d');
  expect(limiter.waitOf('b')).toBe(0);
});

test('a route that changes something says what, for the audit log', () => {
  const spec = {
    url: '/x',
    id: 'x',
    tag: 'system',
    summary: 'x',
    access: 'token:write',
    answer: 'empty',
    handler: () => Promise.resolve(),
  } as const;
  expect(() => defineRoute({ ...spec, method: 'POST' })).toThrow(coded('INTERNAL', 'audit'));
  expect(defineRoute({ ...spec, method: 'GET' }).changes).toBe(false);
  expect(defineRoute({ ...spec, method: 'POST', audit: () => 'x' }).changes).toBe(true);
});

test('a listener of the live feed that fails keeps nobody from hearing', () => {
  const { logger, lines } = recordingLogger();
  const bus = new LiveBus(logger);
  const heard: string[] = [];
  bus.subscribe(() => {
    throw new Error('listener broke');
  });
  const stop = bus.subscribe((event) => heard.push(event.kind));
  bus.publish({ kind: 'deployment.changed', at: '2026-01-01T00:00:00Z', deployment: '1' });
  stop();
  bus.publish({ kind: 'deployment.changed', at: '2026-01-01T00:00:00Z', deployment: '2' });
  expect([heard, lines.map((line) => line.level)]).toEqual([['deployment.changed'], ['error', 'error']]);
});
