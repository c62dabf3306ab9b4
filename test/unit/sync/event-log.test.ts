import { describe, expect, it } from 'vitest';
import { EventLog } from '#agent/sync/event-log.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { decodeMessage } from '#shared/protocol/codec.js';
import { MemoryOutbox } from '../../kit/memory-store.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

class FullOutbox extends MemoryOutbox {
  full = false;
  override append(...args: Parameters<MemoryOutbox['append']>): ReturnType<MemoryOutbox['append']> {
    return this.full ? Promise.reject(new SkerryError('DISK_FULL', 'full')) : super.append(...args);
  }
}

describe('EventLog', () => {
  it('stores events in order, as the wire wants them', async () => {
    const outbox = new FullOutbox();
    const log = new EventLog({ device: 'lab-1', outbox, clock: new VirtualClock(), logger: silentLogger });
    log.emit({ kind: 'agent.started', detail: { version: '1' } });
    log.emit({ kind: 'trust.refused', error: { code: 'X', message: 'y' } });
    await log.settled();
    const events = outbox.records.map((record) => decodeMessage('event', record.payload, 'lab-1'));
    expect(events.map((event) => [event.seq, event.kind])).toEqual([
      [1, 'agent.started'],
      [2, 'trust.refused'],
    ]);
  });

  it('counts what a full disk cost, and says so with the next event that can be stored', async () => {
    const outbox = new FullOutbox();
    const log = new EventLog({ device: 'lab-1', outbox, clock: new VirtualClock(), logger: silentLogger });
    outbox.full = true;
    log.emit({ kind: 'disk.full' });
    log.emit({ kind: 'disk.full' });
    await log.settled();
    outbox.full = false;
    log.emit({ kind: 'agent.started' });
    await log.settled();
    const events = outbox.records.map((record) => decodeMessage('event', record.payload, 'lab-1'));
    expect(events.map((event) => [event.kind, event.detail?.['records']])).toEqual([
      ['agent.started', undefined],
      ['outbox.dropped', 2],
    ]);
  });
});
