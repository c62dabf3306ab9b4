import { describe, expect, it } from 'vitest';
import { seconds } from '#shared/kernel/time.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { connectServiceManager, type ServiceManager, watchdogPeriod } from '#shared/kernel/service-manager.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const ENV = { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '30000000' };
const BEAT = 'WATCHDOG=1\nSTATUS=well';

function connect(
  env: Record<string, string>,
  alive: () => Promise<string>,
  clock = new VirtualClock(),
): { manager: ServiceManager; said: string[]; clock: VirtualClock } {
  const said: string[] = [];
  const manager = connectServiceManager({ env, clock, logger: silentLogger, alive, open: () => (state) => void said.push(state) });
  return { manager, said, clock };
}

describe('what a program tells the service manager', () => {
  it('says nothing where nobody listens', async () => {
    const { manager, said, clock } = connect({}, () => Promise.resolve('well'));
    manager.ready();
    await clock.advance(seconds(120));
    manager.stopping();
    expect(said).toEqual([]);
  });

  it('is that it is ready, alive three times a period, and ending', async () => {
    const { manager, said, clock } = connect(ENV, () => Promise.resolve('well'));
    manager.ready();
    await clock.advance(seconds(25));
    manager.stopping();
    await clock.advance(seconds(60));
    expect(said).toEqual(['READY=1', BEAT, BEAT, BEAT, 'STOPPING=1']);
  });

  it.each([
    ['fails', () => Promise.reject(new Error('no'))],
    ['never answers', () => new Promise<string>(() => undefined)],
  ])('is no longer that it is alive when its own check %s', async (_what, fails) => {
    let healthy = true;
    const { manager, said, clock } = connect(ENV, () => (healthy ? Promise.resolve('well') : fails()));
    manager.ready();
    await clock.advance(seconds(5));
    healthy = false;
    await clock.advance(seconds(300));
    expect(said).toEqual(['READY=1', BEAT]);
  });

  it('is how the program is as it changes, on one line that fits', async () => {
    let status = 'no model\nREADY=0';
    const { manager, said, clock } = connect(ENV, () => Promise.resolve(status));
    manager.ready();
    await clock.advance(seconds(1));
    status = 'x'.repeat(2_000);
    await clock.advance(seconds(10));
    manager.stopping();
    expect(said).toEqual(['READY=1', 'WATCHDOG=1\nSTATUS=no model READY=0', `WATCHDOG=1\nSTATUS=${'x'.repeat(240)}`, 'STOPPING=1']);
  });

  it('goes on when the socket does not', async () => {
    const clock = new VirtualClock();
    const broken = (): never => {
      throw new Error('no such socket');
    };
    const manager = connectServiceManager({
      env: ENV,
      clock,
      logger: silentLogger,
      alive: () => Promise.resolve('well'),
      open: () => broken,
    });
    manager.ready();
    await clock.advance(seconds(60));
    manager.stopping();
  });
});

describe('the period of the watchdog', () => {
  it.each([
    [{}, undefined],
    [{ WATCHDOG_USEC: '60000000' }, 20_000],
    [{ WATCHDOG_USEC: '60000000', WATCHDOG_PID: String(process.pid) }, 20_000],
    [{ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' }, undefined],
    [{ WATCHDOG_USEC: '0' }, undefined],
    [{ WATCHDOG_USEC: 'soon' }, undefined],
  ])('of %o is %s', (env, period) => {
    expect(watchdogPeriod(env)).toBe(period);
  });
});
