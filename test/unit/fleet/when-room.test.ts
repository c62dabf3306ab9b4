import { expect, it } from 'vitest';
import { WhenRoom } from '#hub/fleet/when-room.js';
import { seconds } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

it('newer work that finds no room while older work is done again is not lost', async () => {
  const clock = new VirtualClock();
  const room = new WhenRoom(clock, silentLogger);
  const full = (): Promise<void> => Promise.reject(new SkerryError('DISK_FULL', 'full'));
  const newer: (() => Promise<void>)[] = [full, full];
  const done: string[] = [];
  const write = async (): Promise<void> => {
    await newer.shift()?.();
    done.push('newer');
  };
  let tries = 0;
  const older = async (): Promise<void> => {
    if (tries++ === 0) await full();
    await room.run('device', write);
    done.push('older');
  };
  await room.run('device', older);
  await clock.advance(seconds(1));
  expect(done).toEqual(['older']);
  expect(room.waiting).toBe(1);
  await clock.advance(seconds(1));
  expect(done).toEqual(['older', 'newer']);
  expect(room.waiting).toBe(0);
  await room.close();
});
