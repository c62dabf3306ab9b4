import { describe, expect, it } from 'vitest';
import { ExclusiveQueue } from '#shared/kernel/exclusive-queue.js';

describe('ExclusiveQueue', () => {
  it('runs one task at a time, in order, whatever the one before came to', async () => {
    const queue = new ExclusiveQueue();
    const log: string[] = [];
    const task = (name: string, fails = false) =>
      queue.run(async () => {
        log.push(`${name} begins`);
        await Promise.resolve();
        log.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      });
    const results = await Promise.allSettled([task('a'), task('b', true), task('c')]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });

  it('is idle once everything queued by then has ended', async () => {
    const queue = new ExclusiveQueue();
    let ended = false;
    void queue.run(async () => {
      await Promise.resolve();
      ended = true;
    });
    await queue.idle();
    expect(ended).toBe(true);
  });
});
